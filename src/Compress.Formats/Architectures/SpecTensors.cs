using System.Collections.Immutable;

namespace Compress.Formats.Architectures;

/// <summary>The tensors that a specification implies: what a checkpoint must hold.</summary>
public static class SpecTensors
{
    /// <summary>Every stored tensor by name with its shape, in the order embedding, blocks, final norm, head; a tied table once.</summary>
    public static IReadOnlyList<(string Name, ImmutableArray<long> Shape)> Expected(ModelSpec spec)
    {
        var shapes = new TensorShapes();
        shapes.Add(spec.Embedding.Tokens, [spec.VocabularySize, spec.HiddenSize]);
        if (spec.Embedding.Positions is { } positions)
        {
            shapes.Add(positions, [spec.MaxPositions + spec.Embedding.PositionOffset, spec.HiddenSize]);
        }
        foreach (var block in spec.Blocks) AddBlock(shapes, block, spec.HiddenSize);
        AddNorm(shapes, spec.FinalNorm, spec.HiddenSize);
        if (!spec.Head.Tied) AddLinear(shapes, spec.Head.Linear);
        else if (spec.Head.Linear.Bias is { } bias) shapes.AddPart(bias, spec.Head.Linear.OutFeatures, null);
        return shapes.InOrder();
    }

    private static void AddBlock(TensorShapes shapes, BlockSpec block, int hidden)
    {
        AddNorm(shapes, block.AttentionNorm, hidden);
        if (block.Attention is { } attention)
        {
            AddLinear(shapes, attention.Query);
            AddLinear(shapes, attention.Key);
            AddLinear(shapes, attention.Value);
            AddNorm(shapes, attention.QueryNorm, attention.HeadSize);
            AddNorm(shapes, attention.KeyNorm, attention.HeadSize);
            AddLinear(shapes, attention.Output);
        }
        AddNorm(shapes, block.AttentionOutputNorm, hidden);
        AddNorm(shapes, block.MlpNorm, hidden);
        if (block.Mlp is { } mlp)
        {
            if (mlp.Gate is { } gate) AddLinear(shapes, gate);
            AddLinear(shapes, mlp.Up);
            AddLinear(shapes, mlp.Down);
        }
        AddNorm(shapes, block.MlpOutputNorm, hidden);
    }

    private static void AddLinear(TensorShapes shapes, LinearSpec linear)
    {
        shapes.AddPart(linear.Weight, linear.OutFeatures, linear.InFeatures);
        if (linear.Bias is { } bias) shapes.AddPart(bias, linear.OutFeatures, null);
    }

    private static void AddNorm(TensorShapes shapes, NormSpec? norm, int size)
    {
        if (norm?.Weight is { } weight) shapes.Add(weight, [size]);
        if (norm?.Bias is { } bias) shapes.Add(bias, [size]);
    }

    /// <summary>Collects shapes; parts of a fused tensor add up.</summary>
    private sealed class TensorShapes
    {
        private readonly List<string> order = [];
        private readonly Dictionary<string, ImmutableArray<long>> shapes = new(StringComparer.Ordinal);
        private readonly Dictionary<string, (long Rows, long? Columns, bool Transposed)> fused = new(StringComparer.Ordinal);

        public void Add(string name, ImmutableArray<long> shape)
        {
            // Two norms may share one tensor; the first mention gives its place.
            if (shapes.TryAdd(name, shape)) order.Add(name);
        }

        public void AddPart(WeightPart part, long rows, long? columns)
        {
            if (fused.TryGetValue(part.Tensor, out var sum)) fused[part.Tensor] = sum with { Rows = sum.Rows + rows };
            else
            {
                order.Add(part.Tensor);
                fused.Add(part.Tensor, (rows, columns, part.Transposed));
            }
        }

        public IReadOnlyList<(string, ImmutableArray<long>)> InOrder() =>
            [.. order.Select(n => (n, shapes.TryGetValue(n, out var s) ? s : Fused(n)))];

        private ImmutableArray<long> Fused(string name) => fused[name] switch
        {
            (var rows, null, _) => [rows],
            (var rows, { } columns, true) => [columns, rows],
            (var rows, { } columns, false) => [rows, columns],
        };
    }
}
