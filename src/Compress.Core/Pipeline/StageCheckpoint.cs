using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>
/// A checkpoint with the finished parts of a stage laid over it: same tensors, types and shapes, new values. What the next stage, the
/// evaluation and the exporters read. Stages stack.
/// </summary>
/// <remarks>
/// A quantized site is decoded when its tensor is opened and rounded to the stored element type; the decoded copy stays until
/// <see cref="Release"/>.
/// </remarks>
public sealed class StageCheckpoint : ITensorSource
{
    private readonly ITensorSource below;
    private readonly Dictionary<string, LinearSpec> siteSpecs;
    private readonly List<PartFile> parts = [];
    private readonly Dictionary<string, PartFile> dense = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<(LinearSpec Spec, PartFile File)>> encoded = new(StringComparer.Ordinal);
    private readonly Dictionary<string, PartFile> siteFiles = new(StringComparer.Ordinal);
    private readonly Dictionary<string, NativeTensorMemory> decoded = new(StringComparer.Ordinal);

    /// <summary>An overlay without parts yet.</summary>
    /// <param name="below">The checkpoint before the stage; borrowed, and open for as long as this is.</param>
    /// <param name="model">What the checkpoint holds.</param>
    public StageCheckpoint(ITensorSource below, ModelSpec model)
    {
        this.below = below;
        siteSpecs = SiteSelection.All(model).GroupBy(s => s.Shape.Name).ToDictionary(g => g.Key, g => g.First().Spec, StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => below.Tensors;

    /// <summary>The encoding of a quantized site as its last stage left it; null where the site is dense.</summary>
    /// <param name="site">Site name.</param>
    public GroupQuantizedWeight? ReadQuantized(string site)
    {
        if (siteFiles.TryGetValue(site, out var file)) return file.ReadQuantized(site);
        return below is StageCheckpoint earlier ? earlier.ReadQuantized(site) : null;
    }

    /// <summary>Names of the sites that are quantized, in the model's order.</summary>
    public IEnumerable<string> QuantizedSites => siteSpecs.Keys.Where(IsQuantized);

    /// <inheritdoc/>
    public TensorView Open(string name)
    {
        if (dense.TryGetValue(name, out var file)) return file.Tensors.Open(name);
        if (!encoded.TryGetValue(name, out var sites)) return below.Open(name);
        if (!decoded.TryGetValue(name, out var memory)) decoded.Add(name, memory = Decode(name, sites));
        return new TensorView(Tensors[name], memory.Address, memory);
    }

    /// <inheritdoc/>
    public void Release(string name)
    {
        if (dense.TryGetValue(name, out var file)) file.Tensors.Release(name);
        if (decoded.Remove(name, out var memory)) memory.Dispose();
        below.Release(name);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var part in parts) part.Dispose();
        foreach (var memory in decoded.Values) memory.Dispose();
        decoded.Clear();
    }

    /// <summary>Lays a finished part over the checkpoint.</summary>
    /// <param name="path">A file that a stage wrote.</param>
    internal void Add(string path)
    {
        var part = PartFile.Open(path);
        parts.Add(part);
        foreach (var site in part.Sites.Keys)
        {
            var spec = siteSpecs[site];
            var tensor = spec.Weight.Tensor;
            siteFiles[site] = part;
            if (part.Tensors.Tensors.ContainsKey(tensor)) dense[tensor] = part;
            else if (encoded.TryGetValue(tensor, out var list)) list.Add((spec, part));
            else encoded.Add(tensor, [(spec, part)]);
        }
    }

    private bool IsQuantized(string site) => siteFiles.TryGetValue(site, out var file)
        ? file.Sites[site].Bits is not null
        : below is StageCheckpoint earlier && earlier.IsQuantized(site);

    private NativeTensorMemory Decode(string name, List<(LinearSpec Spec, PartFile File)> sites)
    {
        using var scope = torch.NewDisposeScope();
        var weights = sites.Select(s => (s.Spec.Weight, StoredWeight.Decode(s.File.ReadQuantized(s.Spec.Name)!))).ToList();
        using var stored = StoredWeight.Assemble(below, name, weights);
        var memory = new NativeTensorMemory(Tensors[name].ByteCount);
        const long Piece = 1 << 24;
        var (flat, at) = (stored.view(-1), 0L);
        for (long first = 0; first < flat.numel(); first += Piece)
        {
            var bytes = flat.narrow(0, first, Math.Min(Piece, flat.numel() - first)).bytes;
            bytes.CopyTo(memory.Bytes(at, bytes.Length));
            at += bytes.Length;
        }
        return memory;
    }
}
