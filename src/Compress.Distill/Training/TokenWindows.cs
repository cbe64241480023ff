using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>Training windows cut from packed documents, in an order that depends on the seed alone.</summary>
/// <remarks>
/// Each epoch shuffles the documents, joins them into one stream and cuts it, from a random phase on, into windows of
/// <c>length + 1</c> tokens that overlap by one; the windows are then shuffled too, so that a batch mixes documents. Window
/// <c>i</c> of the run is a function of (seed, i): a resumed run continues exactly by knowing its step.
/// </remarks>
public sealed class TokenWindows
{
    readonly IReadOnlyList<int[]> documents;
    readonly int seed;
    readonly long streamLength;
    int epoch = -1;
    int[] stream = [];
    int[] order = [];
    int phase;

    /// <summary>Packs documents.</summary>
    /// <param name="documents">Token ids of each document, separators included.</param>
    /// <param name="length">Tokens that are predicted in one window.</param>
    /// <param name="seed">Seed of the order.</param>
    /// <exception cref="ArgumentException">The documents hold fewer tokens than one window needs at every phase.</exception>
    public TokenWindows(IReadOnlyList<int[]> documents, int length, int seed)
    {
        this.documents = documents;
        this.seed = seed;
        Length = length;
        streamLength = documents.Sum(d => (long)d.Length);
        // The phase takes up to length - 1 tokens, and the last window needs one token more than its length.
        PerEpoch = (int)((streamLength - length) / length);
        if (PerEpoch < 1)
            throw new ArgumentException($"{streamLength} tokens are too few for windows of {length}: {2 * length} are needed.", nameof(documents));
    }

    /// <summary>Tokens that are predicted in one window.</summary>
    public int Length { get; }

    /// <summary>Windows of one epoch.</summary>
    public int PerEpoch { get; }

    /// <summary>Tokens of all documents.</summary>
    public long TokenCount => streamLength;

    /// <summary>The window at a position of the run: <see cref="Length"/> + 1 token ids.</summary>
    /// <param name="index">Position, counted from 0 over all epochs.</param>
    public ReadOnlySpan<int> Window(long index)
    {
        BeginEpoch((int)(index / PerEpoch));
        var start = phase + order[(int)(index % PerEpoch)] * Length;
        return stream.AsSpan(start, Length + 1);
    }

    /// <summary>Consecutive windows as one tensor; the caller owns it.</summary>
    /// <param name="first">Position of the first window.</param>
    /// <param name="count">Number of windows.</param>
    /// <param name="device">Where the tensor is wanted.</param>
    /// <returns>Token ids, i64, <c>[count, length + 1]</c>.</returns>
    public Tensor Batch(long first, int count, Device device)
    {
        var ids = new long[count * (Length + 1)];
        for (var i = 0; i < count; i++)
        {
            var window = Window(first + i);
            for (var t = 0; t <= Length; t++) ids[i * (Length + 1) + t] = window[t];
        }
        return tensor(ids, [count, Length + 1], ScalarType.Int64, device);
    }

    void BeginEpoch(int wanted)
    {
        if (wanted == epoch) return;
        epoch = wanted;
        var random = SeededOrder.For(seed, wanted);
        if (stream.Length == 0) stream = new int[streamLength];
        var at = 0;
        foreach (var d in random.Permutation(documents.Count))
        {
            documents[d].CopyTo(stream, at);
            at += documents[d].Length;
        }
        phase = random.Below(Length);
        order = random.Permutation(PerEpoch);
    }
}
