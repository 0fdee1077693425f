# Before any test imports Textual, which reads its settings once.
import console as console
