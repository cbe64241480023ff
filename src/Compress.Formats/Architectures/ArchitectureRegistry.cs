using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Architectures;

/// <summary>Reads a <c>config.json</c> by its family; checks a checkpoint's headers against the result before weights are read.</summary>
public static class ArchitectureRegistry
{
    private const int MostNamesShown = 8;

    private static readonly IArchitecture[] Families =
    [
        new Llama(), new Mistral(), new Qwen(), new Gemma(), new Phi(), new Phi3(), new Gpt2(), new GptNeo(), new GptNeoX(), new Opt(),
    ];

    private static readonly Dictionary<string, IArchitecture> ByModelType = Families
        .SelectMany(f => f.ModelTypes.Select(t => (t, f)))
        .ToDictionary(p => p.t, p => p.f, StringComparer.Ordinal);

    /// <summary>The supported values of <c>model_type</c>, in alphabetical order.</summary>
    public static ImmutableArray<string> ModelTypes { get; } = [.. ByModelType.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Reads a configuration and checks every tensor it implies against the checkpoint's headers.</summary>
    /// <param name="config">Root of <c>config.json</c>.</param>
    /// <param name="tensors">The checkpoint's headers.</param>
    /// <param name="file">The file that messages name.</param>
    /// <exception cref="ModelFileException">
    /// The family or an option is not supported, a key is missing or malformed, or tensors are missing, misshapen or unknown
    /// (all of them are named at once).
    /// </exception>
    public static ModelSpec Read(JsonElement config, IReadOnlyDictionary<string, TensorInfo> tensors, string file)
    {
        var reader = new ConfigReader(config, file);
        var family = Family(reader);
        var spec = family.Read(reader, tensors.ContainsKey);
        Verify(spec, family, tensors, file);
        return spec;
    }

    /// <summary>Reads a configuration alone, for plans and synthetic models; tensor names are those of current checkpoints.</summary>
    /// <param name="config">Root of <c>config.json</c>.</param>
    /// <param name="file">The file that messages name.</param>
    /// <exception cref="ModelFileException">The family or an option is not supported, or a key is missing or malformed.</exception>
    public static ModelSpec Read(JsonElement config, string file)
    {
        var reader = new ConfigReader(config, file);
        return Family(reader).Read(reader, _ => false);
    }

    internal static IArchitecture Family(ConfigReader config)
    {
        var type = config.ModelType;
        if (!ByModelType.TryGetValue(type, out var family))
        {
            throw config.Wrong("model_type", $"is \"{type}\", which is not supported", $"Supported: {string.Join(", ", ModelTypes)}.");
        }
        if (config.Has("quantization_config"))
        {
            throw config.Wrong("quantization_config", "is set: the weights are already quantized",
                "Start from the checkpoint in f32, f16 or bf16 that they were made from.");
        }
        return family;
    }

    private static void Verify(ModelSpec spec, IArchitecture family, IReadOnlyDictionary<string, TensorInfo> tensors, string file)
    {
        var expected = SpecTensors.Expected(spec);
        var names = expected.Select(e => e.Name).ToHashSet(StringComparer.Ordinal);
        // A tied head may be stored all the same; its own family reads the token table.
        if (spec.Head.Tied) names.Add(spec.Head.Linear.Name + ".weight");
        var missing = expected.Where(e => !tensors.ContainsKey(e.Name)).Select(e => $"{e.Name} {Shape(e.Shape)}").ToList();
        var wrong = expected
            .Where(e => tensors.TryGetValue(e.Name, out var t) && !t.Shape.AsSpan().SequenceEqual(e.Shape.AsSpan()))
            .Select(e => $"{e.Name} is {Shape(tensors[e.Name].Shape)}, expected {Shape(e.Shape)}").ToList();
        var types = expected
            .Where(e => tensors.TryGetValue(e.Name, out var t)
                && t.Type is not (ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.F64))
            .Select(e => $"{e.Name} is {tensors[e.Name].Type}, expected F32, F16, BF16 or F64").ToList();
        var unknown = tensors.Keys.Where(n => !names.Contains(n) && !family.IsBuffer(n)).ToList();
        if (missing.Count + wrong.Count + types.Count + unknown.Count == 0) return;
        var problems = new List<string>();
        Describe(problems, "missing", missing);
        Describe(problems, "wrong shape", wrong);
        Describe(problems, "wrong type", types);
        Describe(problems, "unknown", unknown);
        throw new ModelFileException(file, $"the tensors do not match the configuration ({spec.Family}): {string.Join("; ", problems)}.",
            "Check that config.json and the weights belong together.");
    }

    private static void Describe(List<string> problems, string what, List<string> names)
    {
        if (names.Count == 0) return;
        var hidden = names.Count - MostNamesShown;
        var more = hidden > 0 ? string.Create(CultureInfo.InvariantCulture, $" and {hidden} more") : "";
        problems.Add(string.Create(CultureInfo.InvariantCulture,
            $"{names.Count} {what}: {string.Join(", ", names.Take(MostNamesShown))}{more}"));
    }

    private static string Shape(ImmutableArray<long> shape) =>
        $"[{string.Join(", ", shape.Select(n => n.ToString(CultureInfo.InvariantCulture)))}]";
}
