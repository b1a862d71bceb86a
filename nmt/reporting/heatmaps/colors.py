"""The color scales of attention weights.

In pictures and pages, white is 0 and navy is 1. In pages with a dark color scheme, the dark color
of the page is 0 and nearly white is 1.
"""

# CIELAB lightness falls in even steps of 8.6 from 100 to 14; the hue turns from sky blue to navy.
WHITE_TO_NAVY = [
    "#ffffff", "#d2eaf8", "#aad4ee", "#85bde4", "#64a6d7", "#498ec6",
    "#3477b2", "#27609b", "#214a80", "#1d3563", "#182145",
]  # fmt: skip
# The same hues in reverse: lightness rises in even steps of 8.9 from 8, as the page has, to 97.
DARK_TO_WHITE = [
    "#12181f", "#1a274f", "#1e3c6d", "#23528a", "#2c6aa5", "#3e82bb",
    "#579acf", "#76b2de", "#9bcaea", "#c3e2f4", "#eff8fd",
]  # fmt: skip
MISSING = "#e5737380"  # for a NaN weight: a half-transparent red
