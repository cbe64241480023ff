using System.Runtime.Intrinsics;
using Compress.Formats.Architectures;
using Compress.Runtime.Kernels;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Model;

/// <summary>Attention of a pass's tokens, split over KV groups and tiles of the queries that share a group's keys.</summary>
internal sealed unsafe class AttentionWork : IParallelWork, IDisposable
{
    private readonly Scratch scratch;
    private readonly int scratchFloats;
    private AttentionSpec spec = null!;
    private KeyValueCache cache = null!;
    private float* query;
    private float* output;
    private int stride;
    private int start;
    private int count;

    /// <param name="workers">Threads of the pool.</param>
    /// <param name="context">Longest sequence.</param>
    /// <param name="largestHead">Largest head size.</param>
    public AttentionWork(int workers, int context, int largestHead)
    {
        scratchFloats = Math.Max((context + 31) / 16 * 16, AttentionTile.ScratchFloats(largestHead));
        scratch = new Scratch((long)workers * scratchFloats);
    }

    private int HeadsOfGroup => spec.Heads / spec.KeyValueHeads;

    private int TilesOfGroup => (count * HeadsOfGroup + AttentionTile.Lanes - 1) / AttentionTile.Lanes;

    /// <summary>Runs all heads of <paramref name="tokens"/> tokens whose first stands at position <paramref name="first"/>.</summary>
    public void Run(WorkerPool pool, AttentionSpec attention, KeyValueCache keysValues, float* queries, float* outputs, int rowStride, int first, int tokens)
    {
        (spec, cache, stride, start, count) = (attention, keysValues, rowStride, first, tokens);
        query = queries;
        output = outputs;
        pool.Run(this, (count == 1 ? 1 : TilesOfGroup) * attention.KeyValueHeads);
    }

    public void Run(int part, int worker)
    {
        var space = scratch.Floats + (nint)worker * scratchFloats;
        if (count == 1) OneToken(part, space);
        else Tile(part % spec.KeyValueHeads, part / spec.KeyValueHeads, space);
    }

    public void Dispose() => scratch.Dispose();

    private int FirstSeen(int token) => spec.Window is { } window ? Math.Max(0, start + token + 1 - window) : 0;

    /// <summary>With one token a tile's lanes would stand empty: heads take their turn, and keys stay in cache for the next.</summary>
    private void OneToken(int group, float* scores)
    {
        int size = spec.HeadSize, from = FirstSeen(0);
        var offset = (nint)from * cache.Width + group * size;
        for (var h = group * HeadsOfGroup; h < (group + 1) * HeadsOfGroup; h++)
        {
            AttentionKernel.Attend(
                query + h * size, cache.Keys + offset, cache.Values + offset, cache.Width, start + 1 - from, size, (float)spec.Scale,
                (float)(spec.SoftCap ?? 0), scores, output + h * size);
        }
    }

    private void Tile(int group, int tile, float* space)
    {
        float** queries = stackalloc float*[AttentionTile.Lanes], outputs = stackalloc float*[AttentionTile.Lanes];
        int* first = stackalloc int[AttentionTile.Lanes], end = stackalloc int[AttentionTile.Lanes];
        int heads = HeadsOfGroup, size = spec.HeadSize;
        var lanes = Math.Min(AttentionTile.Lanes, count * heads - tile * AttentionTile.Lanes);
        for (var lane = 0; lane < AttentionTile.Lanes; lane++)
        {
            var index = tile * AttentionTile.Lanes + Math.Min(lane, lanes - 1);
            var (token, head) = (index / heads, group * heads + index % heads);
            var at = (nint)token * stride + head * size;
            queries[lane] = query + at;
            outputs[lane] = output + at;
            first[lane] = FirstSeen(token);
            end[lane] = start + token + 1;
        }
        AttentionTile.Attend(
            queries, outputs, lanes, Vector512.Load(first), Vector512.Load(end), cache.Keys + group * size, cache.Values + group * size, cache.Width,
            size, (float)spec.Scale, (float)(spec.SoftCap ?? 0), space);
    }
}
