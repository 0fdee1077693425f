"""The screens a person watches and steers from, and the commands beside them."""

import os

# Textual reads these when it is first imported. The first is the least time between two pictures: a
# key right behind a picture waits for up to two of them. Nothing glides: a picture on the way to
# where one goes costs as much as the one that shows it, and over a slow line more.
os.environ.setdefault("TEXTUAL_FPS", "240")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
