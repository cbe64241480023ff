using Compress.Core.Graph;
using Compress.Formats.Architectures;
using static TorchSharp.torch;

namespace Compress.Core.Evaluation;

/// <summary>One model's part in a round: hidden states of the windows, then the head, slice by slice of its vocabulary.</summary>
/// <param name="model">The model.</param>
/// <param name="states">Its hidden states; owned.</param>
/// <param name="sums">Where logits of scored positions are summed up.</param>
/// <param name="type">Arithmetic of the head's product.</param>
/// <param name="device">Where to compute.</param>
internal sealed class ModelRound(EvaluatedModel model, HiddenStates states, SoftmaxSums sums, ScalarType type, Device device) : IDisposable
{
    private Head? head;

    /// <summary>Softmax sums of the scored positions.</summary>
    public SoftmaxSums Sums => sums;

    /// <summary>Tokens of a slice whose weights take at most the given bytes in f32; all of them where the head cannot be cut.</summary>
    public static int SliceSize(ModelSpec spec, long bytes)
    {
        var weight = spec.Head.Linear.Weight;
        var fits = Math.Max(1, bytes / sizeof(float) / spec.HiddenSize);
        return weight.Transposed || weight.Rows is not null ? spec.VocabularySize : (int)Math.Min(fits, spec.VocabularySize);
    }

    /// <summary>Loads the final norm and a slice of the head in place of the one before.</summary>
    /// <param name="first">First token.</param>
    /// <param name="count">Number of tokens.</param>
    public void LoadSlice(int first, int count)
    {
        head?.Dispose();
        using var tensors = new StreamedTensors(model.Tensors);
        head = Head.Load(tensors, count == model.Spec.VocabularySize ? model.Spec : Slice(model.Spec, first, count), type, device);
    }

    /// <summary>Logits of the loaded slice.</summary>
    /// <param name="window">Which window of the round.</param>
    /// <param name="position">First position.</param>
    /// <param name="count">Number of positions.</param>
    /// <returns>f32 <c>[positions, slice]</c>, in the current dispose scope.</returns>
    public Tensor Logits(int window, int position, int count) => head!.Forward(states.Window(window).narrow(0, position, count));

    /// <inheritdoc/>
    public void Dispose()
    {
        head?.Dispose();
        states.Dispose();
    }

    /// <summary>The model with a head of some of its tokens.</summary>
    private static ModelSpec Slice(ModelSpec spec, int first, int count)
    {
        var whole = spec.Head.Linear;
        var rows = new RowPattern(first, count, count, count);
        var slice = whole with
        {
            Weight = whole.Weight with { Rows = rows },
            Bias = whole.Bias is null ? null : whole.Bias with { Rows = rows },
            OutFeatures = count,
        };
        return spec with { VocabularySize = count, Head = spec.Head with { Linear = slice, Tied = false } };
    }
}
