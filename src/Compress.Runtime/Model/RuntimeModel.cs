using Compress.Formats.Architectures;
using Compress.Formats.Tokenizers;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Model;

/// <summary>How the engine runs the weights of one encoding.</summary>
/// <param name="Encoding">The encoding in words.</param>
/// <param name="Use"><c>from codes</c>, <c>from bitmap and codes</c> or the like, or <c>decoded to F32</c> (or another type) when the model was
/// opened.</param>
/// <param name="Weights">How many weights.</param>
public sealed record EncodingUse(string Encoding, string Use, int Weights);

/// <summary>A causal language model ready to run: weights mapped, threads waiting. Sessions hold the state of one sequence each.</summary>
/// <example>
/// <code>
/// using var model = RuntimeModel.Open("model.gguf");
/// using var session = model.NewSession(context: 512);
/// ReadOnlySpan&lt;float&gt; logits = session.Forward([1, 403, 407]);
/// </code>
/// </example>
public sealed class RuntimeModel : IDisposable
{
    private readonly IWeights weights;
    private readonly Pages pages = new();

    private RuntimeModel(IWeights weights, RuntimeOptions options)
    {
        this.weights = weights;
        Spec = weights.Spec;
        InterleavedRotary = weights.InterleavedRotary;
        Embedding = weights.Matrix(new WeightPart(Spec.Embedding.Tokens), Spec.VocabularySize, Spec.HiddenSize);
        Positions = Spec.Embedding.Positions is { } positions
            ? weights.Matrix(new WeightPart(positions), Spec.MaxPositions + Spec.Embedding.PositionOffset, Spec.HiddenSize)
            : null;
        Blocks = [.. Spec.Blocks.Select(b => new BlockWeights(weights, b, Spec.HiddenSize))];
        FinalNorm = Norm.Load(weights, Spec.FinalNorm, Spec.HiddenSize);
        Head = Spec.Head.Tied ? new Linear(Embedding, null) : Linear.Load(weights, Spec.Head.Linear);
        Pool = new WorkerPool(options.Threads ?? Environment.ProcessorCount);
        foreach (var block in Blocks) block.Prepare(options.Activations, pages, Pool);
        Head.Prepare(options.Activations, pages, Pool);
        Embedding.Decode();
    }

    /// <summary>The model's description.</summary>
    public ModelSpec Spec { get; }

    /// <summary>Threads that work on a step, the caller's included.</summary>
    public int Threads => Pool.Count;

    /// <summary>True where activations are rounded to 8 bits in products with at least one of the weights.</summary>
    public bool QuantizesActivations => Head.Panels is not null || Blocks.Any(b => b.QuantizesActivations);

    /// <summary>Bytes of weights that decoding one token reads: every block and the head.</summary>
    public long WeightBytes => Blocks.Sum(b => b.StoredBytes) + Head.StoredBytes;

    /// <summary>How weights of an encoded checkpoint run; empty where weights are used as the file has them.</summary>
    public IReadOnlyList<EncodingUse> Encodings =>
    [
        .. Blocks.SelectMany(b => b.Linears).Append(Head).Append(new Linear(Embedding, null))
            .Where(l => l.Weight.Encoding is not null && (l.Panels is not null || l.Weight.HasRows))
            .DistinctBy(l => (l.Weight, l.Panels is null))
            .GroupBy(l => (Encoding: l.Weight.Encoding!, Use: l.Use))
            .Select(g => new EncodingUse(g.Key.Encoding, g.Key.Use, g.Count())),
    ];

    internal bool InterleavedRotary { get; }

    internal WeightMatrix Embedding { get; }

    /// <summary>Learned positions, or null.</summary>
    internal WeightMatrix? Positions { get; }

    internal BlockWeights[] Blocks { get; }

    internal Norm? FinalNorm { get; }

    internal Linear Head { get; }

    internal WorkerPool Pool { get; }

    /// <summary>The model's tokenizer.</summary>
    /// <exception cref="Formats.ModelFileException">There is none beside the model, or it cannot be read.</exception>
    public Tokenizer LoadTokenizer() => weights.LoadTokenizer();

    /// <summary>Opens a GGUF file, a Hugging Face folder or a llama2.c file.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="threads">Threads to use; null for all cores.</param>
    /// <exception cref="Formats.ModelFileException">The file is malformed or holds a model that the engine does not run.</exception>
    public static RuntimeModel Open(string path, int? threads = null) => Open(path, new RuntimeOptions { Threads = threads });

    /// <summary>Opens a GGUF file, a Hugging Face folder or a llama2.c file.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="options">Threads and precision.</param>
    /// <exception cref="Formats.ModelFileException">The file is malformed or holds a model that the engine does not run.</exception>
    public static RuntimeModel Open(string path, RuntimeOptions options)
    {
        IWeights weights = path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? GgufWeights.Open(path) : FolderWeights.Open(path);
        try { return new RuntimeModel(weights, options); }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>A new sequence. One session runs at a time.</summary>
    /// <param name="context">Longest sequence in tokens.</param>
    /// <param name="batch">Most tokens that one pass takes; longer prompts are split.</param>
    public Session NewSession(int context, int batch = 512) => new(this, context, batch);

    /// <inheritdoc/>
    public void Dispose()
    {
        Pool.Dispose();
        foreach (var block in Blocks) block.Dispose();
        if (!Spec.Head.Tied) Head.Dispose();
        Embedding.Dispose();
        Positions?.Dispose();
        pages.Dispose();
        weights.Dispose();
    }
}
