using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>
/// A checkpoint with the finished parts of a stage laid over it: same tensors and shapes, new values. What the next stage, the
/// evaluation and the exporters read. Stages stack.
/// </summary>
/// <remarks>
/// A quantized site's tensor is F32: the exact decode of its encoding, made when it is opened and kept until <see cref="Release"/>. Dense
/// sites have the checkpoint's own element type.
/// </remarks>
public sealed class StageCheckpoint : ITensorSource
{
    private readonly ITensorSource below;
    private readonly Dictionary<string, LinearSpec> siteSpecs;
    private readonly HashSet<string> modelTensors;
    private readonly List<PartFile> parts = [];
    private readonly Dictionary<string, PartFile> dense = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<(LinearSpec Spec, PartFile File)>> encoded = new(StringComparer.Ordinal);
    private readonly Dictionary<string, PartFile> siteFiles = new(StringComparer.Ordinal);
    private readonly Dictionary<string, NativeTensorMemory> decoded = new(StringComparer.Ordinal);
    private readonly OrderedDictionary<string, TensorInfo> tensors;

    /// <summary>An overlay without parts yet.</summary>
    /// <param name="below">The checkpoint before the stage; borrowed, and open for as long as this is.</param>
    /// <param name="model">What the checkpoint holds.</param>
    public StageCheckpoint(ITensorSource below, ModelSpec model)
        : this(below, model, _ => true)
    {
    }

    private StageCheckpoint(ITensorSource below, ModelSpec model, Func<string, bool> shines)
    {
        this.below = below;
        tensors = new OrderedDictionary<string, TensorInfo>(below.Tensors.Where(t => shines(t.Key)), StringComparer.Ordinal);
        modelTensors = SpecTensors.Expected(model).Select(t => t.Name).ToHashSet(StringComparer.Ordinal);
        siteSpecs = SiteSelection.All(model).GroupBy(s => s.Shape.Name).ToDictionary(g => g.Key, g => g.First().Spec, StringComparer.Ordinal);
    }

    /// <summary>An overlay for a stage that changes shapes: no tensor of a block shines through from below.</summary>
    /// <param name="below">The checkpoint before the stage; borrowed, and open for as long as this is.</param>
    /// <param name="before">What it holds.</param>
    /// <param name="after">What the stage makes of it.</param>
    internal static StageCheckpoint Reshaped(ITensorSource below, ModelSpec before, ModelSpec after)
    {
        var prefixes = before.Blocks.Select(b => b.Prefix + ".").ToList();
        return new StageCheckpoint(below, after, name => !prefixes.Any(p => name.StartsWith(p, StringComparison.Ordinal)));
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <summary>A quantized site as its last stage left it; null where the site is dense.</summary>
    /// <param name="site">Site name.</param>
    public EncodedWeight? ReadEncoded(string site)
    {
        if (siteFiles.TryGetValue(site, out var file)) return file.ReadEncoded(site);
        return below is StageCheckpoint earlier ? earlier.ReadEncoded(site) : null;
    }

    /// <summary>Whether a site is quantized.</summary>
    /// <param name="site">Site name.</param>
    public bool IsEncoded(string site)
    {
        if (siteFiles.TryGetValue(site, out var file)) return file.Sites[site] is not null;
        return below is StageCheckpoint earlier && earlier.IsEncoded(site);
    }

    /// <summary>How a site is quantized in groups of integers, without reading its codes; null where it is dense or encoded otherwise.</summary>
    /// <param name="site">Site name.</param>
    public QuantizationScheme? SchemeOf(string site)
    {
        if (siteFiles.TryGetValue(site, out var file)) return file.SchemeOf(site);
        return below is StageCheckpoint earlier ? earlier.SchemeOf(site) : null;
    }

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
        foreach (var info in part.Tensors.Tensors.Values.Where(t => modelTensors.Contains(t.Name)))
        {
            dense[info.Name] = part;
            tensors[info.Name] = info;
        }
        foreach (var site in part.Sites.Keys)
        {
            var spec = siteSpecs[site];
            var tensor = spec.Weight.Tensor;
            siteFiles[site] = part;
            if (dense.ContainsKey(tensor)) continue;
            if (!encoded.TryGetValue(tensor, out var list)) encoded.Add(tensor, list = []);
            list.Add((spec, part));
            tensors[tensor] = TensorInfo.Of(tensor, ElementType.F32, tensors[tensor].Shape.AsSpan());
        }
    }

    private NativeTensorMemory Decode(string name, List<(LinearSpec Spec, PartFile File)> sites)
    {
        using var scope = torch.NewDisposeScope();
        var weights = sites.Select(s => (s.Spec.Weight, StoredWeight.Decode(s.File.ReadEncoded(s.Spec.Name)!))).ToList();
        using var stored = StoredWeight.Assemble(below, name, weights, torch.ScalarType.Float32);
        below.Release(name);
        var memory = new NativeTensorMemory(Tensors[name].ByteCount);
        var at = 0L;
        StoredWeight.Pieces(stored, bytes =>
        {
            bytes.CopyTo(memory.Bytes(at, bytes.Length));
            at += bytes.Length;
        });
        return memory;
    }
}
