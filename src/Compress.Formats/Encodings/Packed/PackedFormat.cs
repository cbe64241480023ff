using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Packed;

/// <summary>A linear module of a checkpoint that is to be written in a <see cref="PackedFormat"/>.</summary>
/// <param name="Name">Tensor name without <c>.weight</c>.</param>
/// <param name="Rows">Output features.</param>
/// <param name="Columns">Input features.</param>
/// <param name="Scheme">How it is quantized; null where it stays dense.</param>
public sealed record PackedModule(string Name, int Rows, int Columns, QuantizationScheme? Scheme);

/// <summary>A checkpoint format of other programs in which linear modules are integers in groups: what it can hold, and how.</summary>
public abstract class PackedFormat
{
    private const int MostNamesShown = 3;

    /// <summary>All formats; the first of a name is meant where no type is given.</summary>
    public static IReadOnlyList<PackedFormat> All { get; } =
        [new PackQuantized(), new IntQuantized(), new GptqCheckpoint(1), new GptqCheckpoint(2), new AwqCheckpoint()];

    /// <summary>The program's or format's name in recipes and on the command line.</summary>
    public abstract string Name { get; }

    /// <summary>Which of the format's layouts it is.</summary>
    public abstract string Type { get; }

    /// <summary>True where scales are f16 and nothing else.</summary>
    public virtual bool HalfScales => true;

    /// <summary>A format by name; null where there is none.</summary>
    /// <param name="name">Its <see cref="Name"/>.</param>
    /// <param name="type">Its <see cref="Type"/>; null for the usual one.</param>
    public static PackedFormat? Find(string name, string? type) => All.FirstOrDefault(f => f.Name == name && (type is null || f.Type == type));

    /// <summary>Says why a weight of this shape and scheme cannot be stored; null where it can.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="scheme">The scheme.</param>
    public abstract string? Unfit(int rows, int columns, QuantizationScheme scheme);

    /// <summary>Says why these modules cannot be one checkpoint, with their names; null where they can.</summary>
    /// <param name="modules">Every linear module of the model.</param>
    public string? Unfit(IReadOnlyList<PackedModule> modules)
    {
        var unfit = modules.Where(m => m.Scheme is not null).Select(m => (m.Name, Problem: Unfit(m.Rows, m.Columns, m.Scheme!)))
            .Where(m => m.Problem is not null).GroupBy(m => m.Problem!).ToList();
        return unfit.Count > 0 ? string.Join(" ", unfit.Select(g => $"{Names([.. g.Select(m => m.Name)])}: {g.Key}")) : Contradiction(modules);
    }

    /// <summary>The tensors of a weight, to be declared before their values are known.</summary>
    /// <param name="name">Name without <c>.weight</c>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="scheme">The scheme.</param>
    public abstract IReadOnlyList<TensorInfo> Describe(string name, int rows, int columns, QuantizationScheme scheme);

    /// <summary>Packs a weight.</summary>
    /// <param name="name">Name without <c>.weight</c>.</param>
    /// <param name="weight">The weight.</param>
    /// <returns>The tensors that <see cref="Describe"/> announces, in its order.</returns>
    /// <exception cref="ArgumentException">The weight has a zero point that the format does not hold, or is <see
    /// cref="Unfit(int, int, QuantizationScheme)"/>.</exception>
    public abstract IReadOnlyList<PackedTensor> Pack(string name, GroupQuantizedWeight weight);

    /// <summary>The <c>quantization_config</c> of a checkpoint.</summary>
    /// <param name="modules">Every linear module of the model.</param>
    public abstract JsonObject Config(IReadOnlyList<PackedModule> modules);

    /// <summary>Names for a message, the first few of them.</summary>
    internal static string Names(IReadOnlyList<string> names) => names.Count <= MostNamesShown
        ? string.Join(", ", names)
        : string.Create(CultureInfo.InvariantCulture, $"{string.Join(", ", names.Take(MostNamesShown))} and {names.Count - MostNamesShown} more");

    /// <summary>Says why modules that fit one by one do not fit together; null where they do.</summary>
    protected virtual string? Contradiction(IReadOnlyList<PackedModule> modules) => null;

    /// <summary>The one width and group size of all quantized modules, for formats that state them once.</summary>
    /// <param name="modules">The modules.</param>
    /// <param name="problem">What contradicts it; null where nothing does.</param>
    /// <returns>Bits, and columns of a group or −1 for one group a row.</returns>
    private protected static (int Bits, int GroupSize) Common(IReadOnlyList<PackedModule> modules, out string? problem)
    {
        var quantized = modules.Where(m => m.Scheme is not null).ToList();
        var bits = quantized[0].Scheme!.Bits;
        // A row that is shorter than a group is one group whatever the size is called.
        var size = quantized.Select(m => m.Scheme!.GroupSize).FirstOrDefault(s => s is not null);
        var others = quantized.Where(m => m.Scheme!.Bits != bits
            || (size is { } common ? (m.Scheme.GroupSize ?? Math.Max(common, m.Columns)) != common : m.Scheme.GroupSize is not null));
        List<string> names = [.. others.Select(m => m.Name)];
        problem = names.Count == 0 ? null : string.Create(CultureInfo.InvariantCulture,
            $"the format has one width and group size for all weights, here {bits} bits {(size is null ? "a row" : $"in groups of {size}")}; {Names(names)} differ.");
        return (bits, size ?? -1);
    }

    /// <summary>Says why scales or zero points have no place in formats with f16 scales and whole zero points.</summary>
    private protected static string? UnfitGrid(string format, QuantizationScheme scheme) =>
        scheme.ZeroFraction > 0 ? $"{format} stores whole zero points, and these have fractions."
        : scheme.ScaleType == ElementType.F16 ? null
        : $"{format} stores scales as f16, not {scheme.ScaleType.SafetensorsName().ToLowerInvariant()}.";
}
