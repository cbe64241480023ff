using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json;
using Compress.Core.Graph;
using Compress.Core.Runs;
using Compress.Formats;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>
/// What a stage made of one part of the model (a block, the head, the token table), as a safetensors file: only what changed.
/// </summary>
/// <remarks>
/// Dense weights lie under the checkpoint's own tensor names, in its element type; fused tensors whole. A quantized site is kept as
/// <c>{site}.codes</c> (U8, one code a byte), <c>.scales</c> (F32), <c>.zeros</c> (I32) and, with activation order, <c>.group_index</c> (I32),
/// so that no exporter has to guess its grid. The metadata key <c>compress.sites</c> lists every site of the file with its encoding.
/// </remarks>
internal sealed class PartFile : IDisposable
{
    private const string SitesKey = "compress.sites";

    private readonly SafetensorsFile file;

    private PartFile(SafetensorsFile file, ImmutableDictionary<string, SiteEntry> sites)
    {
        this.file = file;
        Sites = sites;
    }

    /// <summary>The sites that the stage changed.</summary>
    public ImmutableDictionary<string, SiteEntry> Sites { get; }

    /// <summary>The file's tensors; those under the checkpoint's names replace the checkpoint's.</summary>
    public ITensorSource Tensors => file;

    /// <summary>How a site is encoded; <see cref="Bits"/> is null for a dense one.</summary>
    internal sealed record SiteEntry(
        int? Bits = null, int? GroupSize = null, bool? Symmetric = null, ElementType? ScaleType = null, bool? ActivationOrder = null);

    /// <summary>Writes a part; the file appears whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="source">The checkpoint before the stage.</param>
    /// <param name="sites">The part's changed sites.</param>
    public static void Write(string path, ITensorSource source, IReadOnlyList<CompressedSite> sites)
    {
        var stored = sites.GroupBy(s => s.Site.Spec.Weight.Tensor).Where(g => g.Any(s => s.Quantized is null)).ToList();
        var quantized = sites.Where(s => s.Quantized is not null).ToDictionary(s => s.Site.Shape.Name, s => s.Quantized!);
        var entries = sites.ToImmutableSortedDictionary(s => s.Site.Shape.Name, s => Entry(s.Quantized), StringComparer.Ordinal);
        var metadata = new Dictionary<string, string> { [SitesKey] = JsonSerializer.Serialize(entries, RunJson.Line) };
        var infos = stored.Select(g => source.Tensors[g.Key]).Concat(quantized.SelectMany(q => Infos(q.Key, q.Value)));
        using var writer = SafetensorsWriter.Create(path, infos, metadata);
        foreach (var group in stored)
        {
            using var scope = torch.NewDisposeScope();
            var type = TensorBridge.ScalarTypeOf(source.Tensors[group.Key].Type);
            var tensor = StoredWeight.Assemble(source, group.Key, [.. group.Select(s => (s.Site.Spec.Weight, s.Weight))], type);
            StoredWeight.Pieces(tensor, bytes => writer.Write(group.Key, bytes));
        }
        foreach (var (name, weight) in quantized)
        {
            writer.Write(name + ".codes", weight.Codes);
            writer.Write(name + ".scales", MemoryMarshal.AsBytes(weight.Scales.AsSpan()));
            writer.Write(name + ".zeros", MemoryMarshal.AsBytes(weight.Zeros.AsSpan()));
            if (weight.GroupIndex is { } index) writer.Write(name + ".group_index", MemoryMarshal.AsBytes(index.AsSpan()));
        }
        writer.Complete();
    }

    /// <summary>Opens a part.</summary>
    /// <exception cref="ModelFileException">The file is missing, damaged or not a part.</exception>
    public static PartFile Open(string path)
    {
        var file = SafetensorsFile.Map(path);
        try
        {
            if (!file.Metadata.TryGetValue(SitesKey, out var json)
                || JsonSerializer.Deserialize<ImmutableDictionary<string, SiteEntry>>(json, RunJson.Line) is not { } sites)
            {
                throw new ModelFileException(path, "was not written by a stage of a run.", "Delete the run folder and start again.");
            }
            return new PartFile(file, sites);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>How a site is quantized; null where the file holds it dense or not at all.</summary>
    public QuantizationScheme? SchemeOf(string site)
    {
        if (!Sites.TryGetValue(site, out var entry) || entry.Bits is not { } bits) return null;
        var columns = file.Tensors[site + ".codes"].Shape[1];
        int? group = entry.GroupSize >= columns ? null : entry.GroupSize;
        return new QuantizationScheme(bits, group, entry.Symmetric!.Value, entry.ActivationOrder!.Value, entry.ScaleType!.Value);
    }

    /// <summary>Reads a quantized site's encoding; null where the file holds the site dense or not at all.</summary>
    public GroupQuantizedWeight? ReadQuantized(string site)
    {
        if (!Sites.TryGetValue(site, out var entry) || entry.Bits is not { } bits) return null;
        var shape = file.Open(site + ".codes").Info.Shape;
        return new GroupQuantizedWeight
        {
            Rows = (int)shape[0],
            Columns = (int)shape[1],
            Bits = bits,
            GroupSize = entry.GroupSize!.Value,
            Symmetric = entry.Symmetric!.Value,
            ScaleType = entry.ScaleType!.Value,
            Codes = Read<byte>(site + ".codes"),
            Scales = Read<float>(site + ".scales"),
            Zeros = Read<int>(site + ".zeros"),
            GroupIndex = entry.ActivationOrder == true ? Read<int>(site + ".group_index") : null,
        };
    }

    public void Dispose() => file.Dispose();

    private T[] Read<T>(string name) where T : unmanaged
    {
        var view = file.Open(name);
        var result = new T[view.Info.ElementCount];
        view.Bytes(0, checked((int)view.Info.ByteCount)).CopyTo(MemoryMarshal.AsBytes(result.AsSpan()));
        file.Release(name);
        return result;
    }

    private static SiteEntry Entry(GroupQuantizedWeight? weight) => weight is null
        ? new SiteEntry()
        : new SiteEntry(weight.Bits, weight.GroupSize, weight.Symmetric, weight.ScaleType, weight.GroupIndex is not null);

    private static IEnumerable<TensorInfo> Infos(string site, GroupQuantizedWeight weight)
    {
        yield return Info(site + ".codes", ElementType.U8, weight.Rows, weight.Columns);
        yield return Info(site + ".scales", ElementType.F32, weight.Rows, weight.Groups);
        yield return Info(site + ".zeros", ElementType.I32, weight.Rows, weight.Groups);
        if (weight.GroupIndex is { } index) yield return Info(site + ".group_index", ElementType.I32, index.Length);
    }

    private static TensorInfo Info(string name, ElementType type, params long[] shape) => TensorInfo.Of(name, type, shape);
}
