// Runs count live tensors of the whole process and keep both cores busy: one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
