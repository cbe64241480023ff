using System.Runtime.InteropServices;
using Compress.Core.Calibration;
using Compress.Core.Evaluation;
using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Export;

/// <summary>A checkpoint's logits on a prompt that is the same for all models of a vocabulary: equal bits mean equal models.</summary>
/// <remarks>Blocks stream one at a time, in f32; the head computes in its stored type, so that a large vocabulary is not widened.</remarks>
internal static class PromptLogits
{
    private const int PromptLength = 16;

    /// <summary>The logits' bytes.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="model">What it holds.</param>
    public static byte[] Compute(ITensorSource source, ModelSpec model)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var tables = new PositionTables();
        var hidden = Embed(source, model);
        foreach (var spec in model.Blocks)
        {
            using var inner = NewDisposeScope();
            using var block = Load(source, s => Block.Load(s, spec, ScalarType.Float32, CPU, tables));
            var next = block.Forward(hidden).MoveToOuterDisposeScope();
            hidden.Dispose();
            hidden = next;
        }
        var headType = TensorBridge.ScalarTypeOf(source.Tensors[model.Head.Linear.Weight.Tensor].Type);
        using var head = Load(source, s => Head.Load(s, model, headType, CPU));
        return MemoryMarshal.AsBytes(head.Forward(hidden).contiguous().data<float>().ToArray().AsSpan()).ToArray();
    }

    /// <summary>The prompt.</summary>
    /// <param name="model">The model.</param>
    public static int[] Tokens(ModelSpec model)
    {
        var random = new Pcg32(seed: 0);
        return [.. Enumerable.Range(0, Math.Min(PromptLength, model.MaxPositions)).Select(_ => random.Next(model.VocabularySize))];
    }

    private static Tensor Embed(ITensorSource source, ModelSpec model)
    {
        var ids = Array.ConvertAll(Tokens(model), t => (long)t);
        var type = TensorBridge.ScalarTypeOf(source.Tensors[model.Embedding.Tokens].Type);
        using var embedding = Load(source, s => Embedding.Load(s, model, type, CPU));
        return embedding.Forward(tensor(ids).unsqueeze(0)).to(ScalarType.Float32);
    }

    private static T Load<T>(ITensorSource source, Func<ITensorSource, T> load)
    {
        using var streamed = new StreamedTensors(source);
        return load(streamed);
    }
}
