namespace Compress.Core.Tests.Pipeline;

/// <summary>Runs of the whole pipeline, one at a time and beside nothing else: they count live tensors and share what test methods saw.</summary>
[CollectionDefinition(nameof(WholeRuns), DisableParallelization = true)]
public sealed class WholeRuns;
