"""Recipes: one file each, with a constant ``RECIPE``. The file's name is the recipe's, and there is no list to edit.

Copy `digits_mlp` for one more; `viva.train.recipe.Recipe` explains every field. ``viva train NAME --limit-batches 2
--epochs 1`` tries it out, ``viva train NAME --record`` writes its score into ``../records``.
"""
