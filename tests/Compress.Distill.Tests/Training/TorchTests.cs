namespace Compress.Distill.Tests.Training;

/// <summary>Tests that make tensors run one after the other: some of them count the live ones.</summary>
[CollectionDefinition(Name)]
public sealed class TorchTests
{
    public const string Name = "torch";
}
