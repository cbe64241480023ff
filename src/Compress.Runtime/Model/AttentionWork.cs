using Compress.Formats.Architectures;
using Compress.Runtime.Kernels;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Model;

/// <summary>Attention of a pass's tokens, split over tokens and KV groups; the heads of a group follow each other so that keys stay in cache.</summary>
internal sealed unsafe class AttentionWork : IParallelWork, IDisposable
{
    private readonly Scratch scores;
    private readonly int scoreFloats;
    private AttentionSpec spec = null!;
    private KeyValueCache cache = null!;
    private float* query;
    private float* output;
    private int stride;
    private int start;

    public AttentionWork(int workers, int context)
    {
        scoreFloats = (context + 31) / 16 * 16;
        scores = new Scratch((long)workers * scoreFloats);
    }

    /// <summary>Runs all heads of <paramref name="tokens"/> tokens whose first stands at position <paramref name="first"/>.</summary>
    public void Run(WorkerPool pool, AttentionSpec attention, KeyValueCache keysValues, float* queries, float* outputs, int rowStride, int first, int tokens)
    {
        (spec, cache, stride, start) = (attention, keysValues, rowStride, first);
        query = queries;
        output = outputs;
        pool.Run(this, tokens * attention.KeyValueHeads);
    }

    public void Run(int part, int worker)
    {
        int token = part / spec.KeyValueHeads, group = part % spec.KeyValueHeads, size = spec.HeadSize;
        var seen = start + token + 1;
        var from = spec.Window is { } window ? Math.Max(0, seen - window) : 0;
        var offset = (nint)from * cache.Width + group * size;
        var heads = spec.Heads / spec.KeyValueHeads;
        for (var h = group * heads; h < (group + 1) * heads; h++)
        {
            var at = (nint)token * stride + h * size;
            AttentionKernel.Attend(
                query + at, cache.Keys + offset, cache.Values + offset, cache.Width, seen - from, size, (float)spec.Scale,
                (float)(spec.SoftCap ?? 0), scores.Floats + (nint)worker * scoreFloats, output + at);
        }
    }

    public void Dispose() => scores.Dispose();
}
