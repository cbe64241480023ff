using System.Collections.Immutable;
using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Evaluation;

/// <summary>
/// The input embedding of the tokens that occur in some windows: the checkpoint with a token table of those rows alone, so that a
/// large table is never in memory as a whole.
/// </summary>
internal sealed class EmbeddedRows : ITensorSource
{
    private readonly ITensorSource source;
    private readonly TensorInfo info;
    private readonly NativeTensorMemory memory;
    private readonly Dictionary<int, int> rowOf;

    /// <summary>Copies the rows.</summary>
    /// <param name="model">The model.</param>
    /// <param name="windows">The windows whose tokens are embedded.</param>
    public EmbeddedRows(EvaluatedModel model, IReadOnlyList<ScoredWindow> windows)
    {
        source = model.Tensors;
        var name = model.Spec.Embedding.Tokens;
        var view = source.Open(name);
        int[] tokens = [.. windows.SelectMany(w => w.Ids.ToArray()).Distinct().Order()];
        rowOf = tokens.Select((token, row) => (token, row)).ToDictionary(p => p.token, p => p.row);
        info = TensorInfo.Of(name, view.Info.Type, tokens.Length, view.Info.Shape[1]);
        memory = new NativeTensorMemory(info.ByteCount);
        var bytes = checked((int)(view.Info.ByteCount / view.Info.Shape[0]));
        for (var row = 0; row < tokens.Length; row++) view.Bytes((long)tokens[row] * bytes, bytes).CopyTo(memory.Bytes((long)row * bytes, bytes));
        source.Release(name);
        Spec = model.Spec with { VocabularySize = tokens.Length };
    }

    /// <summary>The model with the tokens of the windows as its vocabulary.</summary>
    public ModelSpec Spec { get; }

    public IReadOnlyDictionary<string, TensorInfo> Tensors => source.Tensors.ToImmutableDictionary().SetItem(info.Name, info);

    /// <summary>Where a token's row is in the copied table.</summary>
    public long RowOf(int token) => rowOf[token];

    public TensorView Open(string name) => name == info.Name ? new TensorView(info, memory.Address, memory) : source.Open(name);

    /// <summary>Loads the embedding; ids are those of <see cref="RowOf"/>.</summary>
    public Embedding Load(Device device) => Embedding.Load(this, Spec, ScalarType.Float32, device);

    public void Dispose() => memory.Dispose();
}
