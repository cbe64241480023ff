using Compress.Runtime.Kernels;

namespace Compress.Runtime.Model;

/// <summary>One sequence: its keys and values, and the working memory of a pass. Nothing is allocated after construction.</summary>
public sealed unsafe class Session : IDisposable
{
    /// <summary>Most tokens of a pass whose logits are all wanted: they take more memory than all else.</summary>
    private const int MostOutputs = 128;

    private readonly RuntimeModel model;
    private readonly int batch;
    private readonly int width;
    private readonly int innerWidth;
    private readonly Scratch stream;
    private readonly Scratch normed;
    private readonly Scratch aside;
    private readonly Scratch inner;
    private readonly Scratch gate;
    private readonly Scratch query;
    private readonly Scratch logits;
    private readonly RotaryTables[] rotary;
    private readonly KeyValueCache[] caches;
    private readonly ProductWork product;
    private readonly AttentionWork attention;
    private readonly TokenWork tokenWork;

    internal Session(RuntimeModel model, int context, int batch)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(context);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        this.model = model;
        if (model.Positions is not null) ArgumentOutOfRangeException.ThrowIfGreaterThan(context, model.Spec.MaxPositions);
        this.batch = Math.Min(batch, context);
        Context = context;
        width = Padded(model.Spec.HiddenSize);
        var blocks = model.Spec.Blocks;
        innerWidth = Padded(blocks.Max(b => Math.Max(b.Mlp?.Up.OutFeatures ?? 0, b.Attention?.Query.OutFeatures ?? 0)));
        stream = new Scratch((long)this.batch * width);
        normed = new Scratch((long)this.batch * width);
        aside = new Scratch((long)this.batch * width);
        inner = new Scratch((long)this.batch * innerWidth);
        gate = new Scratch((long)this.batch * innerWidth);
        query = new Scratch((long)this.batch * innerWidth);
        logits = new Scratch((long)Math.Min(this.batch, MostOutputs) * model.Spec.VocabularySize);
        caches = [.. blocks.Select(b => new KeyValueCache(b.Attention, context))];
        rotary = [.. blocks.Select(b => new RotaryTables(b.Attention?.Rotary, context))];
        product = new ProductWork(model.Pool.Count, Math.Max(width, innerWidth), this.batch);
        attention = new AttentionWork(model.Pool.Count, context, blocks.Max(b => b.Attention?.HeadSize ?? 0));
        tokenWork = new TokenWork(this);
    }

    /// <summary>Longest sequence in tokens.</summary>
    public int Context { get; }

    /// <summary>Tokens taken so far.</summary>
    public int Length { get; private set; }

    /// <summary>Forgets everything after the first <paramref name="length"/> tokens.</summary>
    public void Rewind(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
    }

    /// <summary>Appends tokens and returns the logits after the last one.</summary>
    /// <param name="tokens">At least one id.</param>
    /// <returns>Logits <c>[vocabulary]</c>, valid until the next call.</returns>
    /// <exception cref="ArgumentException">No tokens, an id outside the vocabulary, or more than <see cref="Context"/> in all.</exception>
    public ReadOnlySpan<float> Forward(ReadOnlySpan<int> tokens)
    {
        Check(tokens);
        while (tokens.Length > batch)
        {
            Pass(tokens[..batch], outputs: 0);
            tokens = tokens[batch..];
        }
        Pass(tokens, outputs: 1);
        return new ReadOnlySpan<float>(logits.Floats, model.Spec.VocabularySize);
    }

    /// <summary>Appends tokens and gives the logits after each.</summary>
    /// <param name="tokens">At least one id.</param>
    /// <param name="destination">Receives <c>[tokens, vocabulary]</c>.</param>
    /// <exception cref="ArgumentException">As <see cref="Forward"/>, or the destination is too short.</exception>
    public void ForwardAll(ReadOnlySpan<int> tokens, Span<float> destination)
    {
        Check(tokens);
        var vocabulary = model.Spec.VocabularySize;
        if (destination.Length < (long)tokens.Length * vocabulary) throw new ArgumentException("too short for all logits", nameof(destination));
        while (!tokens.IsEmpty)
        {
            var part = tokens[..Math.Min(Math.Min(batch, MostOutputs), tokens.Length)];
            Pass(part, outputs: part.Length);
            new ReadOnlySpan<float>(logits.Floats, part.Length * vocabulary).CopyTo(destination);
            destination = destination[(part.Length * vocabulary)..];
            tokens = tokens[part.Length..];
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var scratch in new[] { stream, normed, aside, inner, gate, query, logits }) scratch.Dispose();
        foreach (var cache in caches) cache.Dispose();
        foreach (var table in rotary) table.Dispose();
        product.Dispose();
        attention.Dispose();
    }

    private static int Padded(int size) => (size + 31) / 32 * 32;

    private void Check(ReadOnlySpan<int> tokens)
    {
        if (tokens.IsEmpty) throw new ArgumentException("no tokens", nameof(tokens));
        if (tokens.Length > Context - Length)
            throw new ArgumentException($"{Length} + {tokens.Length} tokens exceed the session's context of {Context}", nameof(tokens));
        foreach (var token in tokens)
        {
            if ((uint)token >= (uint)model.Spec.VocabularySize)
                throw new ArgumentException($"token {token} is outside the vocabulary of {model.Spec.VocabularySize}", nameof(tokens));
        }
    }

    private void Pass(ReadOnlySpan<int> tokens, int outputs)
    {
        var count = tokens.Length;
        Embed(tokens);
        for (var i = 0; i < model.Blocks.Length; i++) RunBlock(i, count);
        Length += count;
        if (outputs == 0) return;
        var last = stream.Floats + (nint)(count - outputs) * width;
        for (var t = 0; t < outputs; t++) Normalise(model.FinalNorm, last + (nint)t * width, normed.Floats + (nint)t * width);
        Multiply(normed.Floats, width, outputs, model.Head, logits.Floats, model.Spec.VocabularySize);
        if (model.Spec.Head.SoftCap is { } cap)
        {
            foreach (ref var logit in new Span<float>(logits.Floats, outputs * model.Spec.VocabularySize))
                logit = (float)(cap * Math.Tanh(logit / cap));
        }
    }

    private void RunBlock(int index, int count)
    {
        var block = model.Blocks[index];
        // Where attention and MLP read the same stream, the MLP's input is set aside before attention is added.
        var parallel = block.Spec.ParallelResidual && block.Down is not null;
        if (parallel) tokenWork.Run(TokenStep.NormaliseMlp, block, index, count);
        if (block.Output is not null) Attend(index, count);
        if (block.Down is null) return;
        if (!parallel) tokenWork.Run(TokenStep.NormaliseMlp, block, index, count);
        Feed(block, index, count);
    }

    private void Embed(ReadOnlySpan<int> tokens)
    {
        var scale = (float)model.Spec.Embedding.Scale;
        for (var t = 0; t < tokens.Length; t++)
        {
            var to = stream.Floats + (nint)t * width;
            model.Embedding.Kernel.DecodeRows(model.Embedding.Data, model.Embedding.PaddedColumns, tokens[t], tokens[t] + 1, to);
            if (scale != 1)
            {
                for (var i = 0; i < model.Spec.HiddenSize; i++) to[i] *= scale;
            }
            if (model.Positions is not { } positions) continue;
            var row = Length + t + model.Spec.Embedding.PositionOffset;
            positions.Kernel.DecodeRows(positions.Data, positions.PaddedColumns, row, row + 1, normed.Floats);
            Elementwise.Add(to, normed.Floats, model.Spec.HiddenSize);
        }
    }

    private void Attend(int index, int count)
    {
        var block = model.Blocks[index];
        var cache = caches[index];
        tokenWork.Run(TokenStep.NormaliseAttention, block, index, count);
        product.Begin(normed.Floats, width, count);
        product.Add(block.QueryKeyValue[0], query.Floats, innerWidth);
        product.Add(block.QueryKeyValue[1], cache.Keys + (nint)Length * cache.Width, cache.Width);
        product.Add(block.QueryKeyValue[2], cache.Values + (nint)Length * cache.Width, cache.Width);
        product.Run(model.Pool);
        tokenWork.Run(TokenStep.Rotate, block, index, count);
        attention.Run(model.Pool, block.Spec.Attention!, cache, query.Floats, inner.Floats, innerWidth, Length, count);
        Multiply(inner.Floats, innerWidth, count, block.Output!, normed.Floats, width);
        tokenWork.Run(TokenStep.AddAttention, block, index, count);
    }

    private void Prepare(Norm? norm, RotaryTables tables, float* heads, int count, int size, int position)
    {
        for (var h = 0; h < count; h++)
        {
            var head = heads + (nint)h * size;
            norm?.Apply(head, head);
            if (tables.Pairs > 0) Elementwise.Rotate(head, tables.Cos(position), tables.Sin(position), tables.Pairs, model.InterleavedRotary);
        }
    }

    private void Feed(BlockWeights block, int index, int count)
    {
        product.Begin(aside.Floats, width, count);
        if (block.Spec.Mlp!.Gate is not null) product.Add(block.GateUp[0], gate.Floats, innerWidth);
        product.Add(block.GateUp[^1], inner.Floats, innerWidth);
        product.Run(model.Pool);
        tokenWork.Run(TokenStep.Activate, block, index, count);
        Multiply(inner.Floats, innerWidth, count, block.Down!, normed.Floats, width);
        tokenWork.Run(TokenStep.AddMlp, block, index, count);
    }

    /// <summary>What happens to each token between two products.</summary>
    private void RunStep(TokenStep step, BlockWeights block, int index, int t)
    {
        float* from = stream.Floats + (nint)t * width, normal = normed.Floats + (nint)t * width;
        switch (step)
        {
            case TokenStep.NormaliseAttention:
                Normalise(block.AttentionNorm, from, normal);
                break;
            case TokenStep.NormaliseMlp:
                Normalise(block.MlpNorm ?? (block.Spec.ParallelResidual ? block.AttentionNorm : null), from, aside.Floats + (nint)t * width);
                break;
            case TokenStep.Rotate:
                var (spec, cache) = (block.Spec.Attention!, caches[index]);
                Prepare(block.QueryNorm, rotary[index], query.Floats + (nint)t * innerWidth, spec.Heads, spec.HeadSize, Length + t);
                Prepare(block.KeyNorm, rotary[index], cache.Keys + (nint)(Length + t) * cache.Width, spec.KeyValueHeads, spec.HeadSize, Length + t);
                break;
            case TokenStep.Activate:
                var mlp = block.Spec.Mlp!;
                var up = inner.Floats + (nint)t * innerWidth;
                var channels = mlp.Up.OutFeatures;
                Elementwise.Activate(mlp.Activation, mlp.Gate is null ? null : gate.Floats + (nint)t * innerWidth, up, channels);
                // Kernels read whole groups of 32: what lies beyond the channels must be zero.
                new Span<float>(up + channels, Padded(channels) - channels).Clear();
                break;
            default:
                (step == TokenStep.AddAttention ? block.AttentionOutputNorm : block.MlpOutputNorm)?.Apply(normal, normal);
                Elementwise.Add(from, normal, model.Spec.HiddenSize);
                break;
        }
    }

    private void Normalise(Norm? norm, float* from, float* to)
    {
        if (norm is null) Buffer.MemoryCopy(from, to, 4L * width, 4L * width);
        else norm.Apply(from, to);
        new Span<float>(to + model.Spec.HiddenSize, width - model.Spec.HiddenSize).Clear();
    }

    private void Multiply(float* x, int stride, int count, Linear linear, float* y, int yStride)
    {
        product.Begin(x, stride, count);
        product.Add(linear, y, yStride);
        product.Run(model.Pool);
    }

    private enum TokenStep
    {
        NormaliseAttention,
        Rotate,
        AddAttention,
        NormaliseMlp,
        Activate,
        AddMlp,
    }

    /// <summary>A step over all tokens of a pass, split over the workers where there are several.</summary>
    private sealed class TokenWork(Session session) : Threading.IParallelWork
    {
        private TokenStep step;
        private BlockWeights block = null!;
        private int index;

        public void Run(TokenStep newStep, BlockWeights newBlock, int newIndex, int count)
        {
            (step, block, index) = (newStep, newBlock, newIndex);
            session.model.Pool.Run(this, count);
        }

        public void Run(int part, int worker) => session.RunStep(step, block, index, part);
    }
}
