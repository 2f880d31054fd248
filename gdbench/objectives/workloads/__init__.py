"""Training workloads: small networks on data from inside packages or generated, seconds to a minute on two cores."""
