"""The three articles that the studies began with, as pages name them."""

DJURIC, CAP, DOSHI = "Djuric 2019, part 13", "Enrichment Cap 2023", "Doshi 2018"
ARTICLES = {
    DJURIC: 'D. Djuric, "Deep Learning from Scratch to GPU - 13 - Initializing Weights" '
    "(dragan.rocks, 10 April 2019)",
    CAP: 'Enrichment Cap, "Value of Random Numbers in ML" (9 May 2023)',
    DOSHI: 'N. Doshi, "Deep Learning Best Practices (1) - Weight Initialization" (2018)',
}
