"""The color scale of attention weights, shared by pictures and pages: white for 0, navy for 1."""

# CIELAB lightness falls in even steps of 8.6 from 100 to 14; the hue turns from sky blue to navy.
WHITE_TO_NAVY = [
    "#ffffff", "#d2eaf8", "#aad4ee", "#85bde4", "#64a6d7", "#498ec6",
    "#3477b2", "#27609b", "#214a80", "#1d3563", "#182145",
]  # fmt: skip
MISSING = "#e5737380"  # for a NaN weight: a half-transparent red
