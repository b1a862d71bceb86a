"""The colours of attention: white for weight 0, navy for weight 1, in pictures and on pages."""

# CIELAB lightness falls evenly from 100 to 14, by 8.6 a stop; hue turns from sky to navy.
WHITE_TO_NAVY = [
    "#ffffff", "#d2eaf8", "#aad4ee", "#85bde4", "#64a6d7", "#498ec6",
    "#3477b2", "#27609b", "#214a80", "#1d3563", "#182145",
]  # fmt: skip
MISSING = "#e5737380"  # of a weight that is not known
