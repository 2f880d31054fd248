"""The 24 noiseless functions of COCO's bbob suite, with COCO's own instances (Hansen et al. 2009, INRIA RR-6829).

Each file holds one group of the report. Value, x* and f* for a function, dimension and instance are equal to those of
COCO's code, so that results can be compared with COCO's archive; gradients, which COCO does not have, are added. Every
factory takes

- ``n``: the dimension, at least 2 (COCO's suite has 2, 3, 5, 10, 20 and 40);
- ``instance``: 1, 2, ...: shift, rotation and f* (COCO's suite has 1 to 15);

and raises UsageError for other values. The start is uniform in [-4, 4]^n, by the seed, within COCO's domain [-5, 5]^n.
f is defined everywhere; some functions add a penalty outside of the domain.
"""
