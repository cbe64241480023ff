namespace Compress.Formats.Checkpoints;

/// <summary>The one message for a tensor that a checkpoint does not hold.</summary>
internal static class MissingTensor
{
    public static ModelFileException In(string path, string name, IReadOnlyDictionary<string, TensorInfo> tensors) =>
        new(path, $"there is no tensor \"{Suggestion.Shorten(name)}\".", Suggestion.For(name, [.. tensors.Keys]));
}
