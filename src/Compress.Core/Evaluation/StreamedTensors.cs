using Compress.Formats.Checkpoints;

namespace Compress.Core.Evaluation;

/// <summary>A borrowed checkpoint that remembers what was opened, so that the memory behind it can go once a block was copied.</summary>
/// <param name="source">The checkpoint.</param>
internal sealed class StreamedTensors(ITensorSource source) : ITensorSource
{
    private readonly HashSet<string> opened = [];

    public IReadOnlyDictionary<string, TensorInfo> Tensors => source.Tensors;

    public TensorView Open(string name)
    {
        opened.Add(name);
        return source.Open(name);
    }

    /// <summary>Releases every tensor opened since the last call.</summary>
    public void Dispose()
    {
        foreach (var name in opened) source.Release(name);
        opened.Clear();
    }
}
