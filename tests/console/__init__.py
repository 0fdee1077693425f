from console.pace import set_pace

# Before any test imports Textual, as the command line does.
set_pace()
