using System.Collections.Immutable;
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
/// Dense weights lie under the checkpoint's own tensor names, in its element type; fused tensors whole. A quantized site is kept in its
/// encoding, as <see cref="EncodedFormat"/> lays it out under the site's name, so that no exporter has to guess its grid. The metadata key
/// <c>compress.sites</c> lists every site of the file, with shape and encoding where it is quantized.
/// </remarks>
internal sealed class PartFile : IDisposable
{
    private const string SitesKey = "compress.sites";

    private readonly SafetensorsFile file;
    private readonly string path;

    private PartFile(string path, SafetensorsFile file, ImmutableDictionary<string, SiteEntry?> sites)
    {
        this.path = path;
        this.file = file;
        Sites = sites;
    }

    /// <summary>The sites that the stage changed, with the encodings of those that it quantized.</summary>
    public ImmutableDictionary<string, SiteEntry?> Sites { get; }

    /// <summary>The file's tensors; those under the checkpoint's names replace the checkpoint's.</summary>
    public ITensorSource Tensors => file;

    /// <summary>A quantized site.</summary>
    /// <param name="Rows">Output features.</param>
    /// <param name="Columns">Input features.</param>
    /// <param name="Encoding">What <see cref="EncodedFormat.Describe"/> says of it.</param>
    internal sealed record SiteEntry(int Rows, int Columns, JsonElement Encoding);

    /// <summary>Writes a part; the file appears whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="source">The checkpoint before the stage.</param>
    /// <param name="sites">The part's changed sites.</param>
    /// <param name="others">Names of other changed tensors, which <paramref name="source"/> shows as they became: norms and biases.</param>
    public static void Write(string path, ITensorSource source, IReadOnlyList<CompressedSite> sites, IReadOnlyCollection<string> others)
    {
        var stored = sites.GroupBy(s => s.Site.Spec.Weight.Tensor).Where(g => g.Any(s => s.Encoded is null)).ToList();
        var entries = sites.ToImmutableSortedDictionary(s => s.Site.Shape.Name, s => Entry(s.Encoded), StringComparer.Ordinal);
        var parts = sites.Where(s => s.Encoded is not null).SelectMany(s => EncodedFormat.Pack(s.Site.Shape.Name, s.Encoded!)).ToList();
        var metadata = new Dictionary<string, string> { [SitesKey] = JsonSerializer.Serialize(entries, RunJson.Line) };
        var infos = stored.Select(g => source.Tensors[g.Key]).Concat(others.Select(name => source.Tensors[name])).Concat(parts.Select(p => p.Info));
        using var writer = SafetensorsWriter.Create(path, infos, metadata);
        foreach (var group in stored)
        {
            using var scope = torch.NewDisposeScope();
            var type = TensorBridge.ScalarTypeOf(source.Tensors[group.Key].Type);
            var tensor = StoredWeight.Assemble(source, group.Key, [.. group.Select(s => (s.Site.Spec.Weight, s.Weight))], type);
            StoredWeight.Pieces(tensor, bytes => writer.Write(group.Key, bytes));
        }
        foreach (var name in others) writer.Write(name, source.Open(name));
        foreach (var part in parts) writer.Write(part.Info.Name, part.Bytes);
        writer.Complete();
    }

    /// <summary>Writes a part that is new as a whole; the file appears whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Every stored tensor of the part that is dense; borrowed.</param>
    /// <param name="sites">Its sites, with the encodings of those that are quantized.</param>
    public static void WriteWhole(
        string path, IReadOnlyList<(TensorInfo Info, torch.Tensor Value)> tensors, IReadOnlyList<(string Name, EncodedWeight? Encoded)> sites)
    {
        var entries = sites.ToImmutableSortedDictionary(s => s.Name, s => Entry(s.Encoded), StringComparer.Ordinal);
        var parts = sites.Where(s => s.Encoded is not null).SelectMany(s => EncodedFormat.Pack(s.Name, s.Encoded!)).ToList();
        var metadata = new Dictionary<string, string> { [SitesKey] = JsonSerializer.Serialize(entries, RunJson.Line) };
        using var writer = SafetensorsWriter.Create(path, tensors.Select(t => t.Info).Concat(parts.Select(p => p.Info)), metadata);
        foreach (var (info, value) in tensors)
        {
            using var scope = torch.NewDisposeScope();
            var stored = value.detach().to(TensorBridge.ScalarTypeOf(info.Type)).cpu().contiguous();
            StoredWeight.Pieces(stored, bytes => writer.Write(info.Name, bytes));
        }
        foreach (var part in parts) writer.Write(part.Info.Name, part.Bytes);
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
                || JsonSerializer.Deserialize<ImmutableDictionary<string, SiteEntry?>>(json, RunJson.Line) is not { } sites)
            {
                throw new ModelFileException(path, "was not written by a stage of a run.", "Delete the run folder and start again.");
            }
            return new PartFile(path, file, sites);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>How a site is quantized in groups of integers; null where the file holds it otherwise or not at all.</summary>
    public QuantizationScheme? SchemeOf(string site) =>
        Sites.GetValueOrDefault(site) is { } entry ? EncodedFormat.SchemeOf(file, path, site, entry.Encoding, entry.Columns) : null;

    /// <summary>Reads a quantized site; null where the file holds the site dense or not at all.</summary>
    public EncodedWeight? ReadEncoded(string site)
    {
        if (Sites.GetValueOrDefault(site) is not { } entry) return null;
        var weight = EncodedFormat.Read(file, path, site, entry.Encoding, entry.Rows, entry.Columns);
        foreach (var part in file.Tensors.Keys.Where(name => name.StartsWith(site + ".", StringComparison.Ordinal))) file.Release(part);
        return weight;
    }

    public void Dispose() => file.Dispose();

    private static SiteEntry? Entry(EncodedWeight? weight) => weight is null
        ? null
        : new SiteEntry(weight.Rows, weight.Columns, JsonSerializer.SerializeToElement(EncodedFormat.Describe(weight)));
}
