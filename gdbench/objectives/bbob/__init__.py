"""The 24 noiseless functions of COCO's bbob suite, with COCO's own instances (Hansen et al. 2009, INRIA RR-6829).

One group of the report a file. Value, x* and f* of function, dimension and instance are those of COCO's code, number
for number, so that results compare with the archive of COCO; the gradient is COCO's missing one. Every factory takes

- ``n``: the dimension, at least 2 (COCO's suite has 2, 3, 5, 10, 20 and 40);
- ``instance``: 1, 2, ...: shift, rotation and f* (COCO's suite has 1 to 15);

raises UsageError for any other, and starts uniformly in [-4, 4]^n by the seed, within COCO's domain [-5, 5]^n. f is
defined everywhere; some functions add a penalty outside of the domain.
"""
