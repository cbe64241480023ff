using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>
/// The <c>quantization_config</c> of compressed-tensors in <c>config.json</c>, as far as weights go: which modules are quantized and how, or
/// that they are stored 2:4.
/// </summary>
public sealed class CompressedTensorsConfig
{
    /// <summary>The format that packs codes of 2 to 8 bits.</summary>
    internal const string PackQuantized = "pack-quantized";

    /// <summary>The format that stores codes as signed bytes, and its older name.</summary>
    internal const string IntQuantized = "int-quantized", NaiveQuantized = "naive-quantized";

    /// <summary>The format of weights that are stored as floats, which <see cref="Sparse24"/> then shortens.</summary>
    internal const string Dense = "dense";

    /// <summary>The format that stores two of every four floats.</summary>
    internal const string Sparse24 = "sparse-24-bitmask";

    const string PatternMark = "re:";
    const string SparsityKey = "sparsity_config";

    readonly List<(IReadOnlyList<string> Targets, QuantizationScheme Scheme)> groups = [];
    readonly List<string> ignored = [];

    CompressedTensorsConfig(string format) => Format = format;

    /// <summary>How all quantized weights are stored.</summary>
    internal string Format { get; }

    /// <summary>The configuration for a checkpoint's linear modules.</summary>
    /// <param name="modules">
    /// Every linear module of the model (tensor name without <c>.weight</c>) with its scheme; null where it stays dense.
    /// </param>
    /// <param name="format">How quantized weights are stored.</param>
    /// <returns>One group that targets all linears where there is one scheme, otherwise groups that list their modules.</returns>
    public static CompressedTensorsConfig For(IReadOnlyDictionary<string, QuantizationScheme?> modules, string format = PackQuantized)
    {
        var result = new CompressedTensorsConfig(format);
        // How scales are stored shows in the tensors and not in the configuration.
        var schemes = modules.Where(m => m.Value is not null)
            .GroupBy(m => m.Value! with { ScaleType = ElementType.F32 }, m => m.Key)
            .Select(g => (Targets: g.Order(StringComparer.Ordinal).ToList(), Scheme: g.Key))
            .OrderBy(g => g.Targets[0], StringComparer.Ordinal).ToList();
        foreach (var (targets, scheme) in schemes) result.groups.Add((schemes.Count == 1 ? ["Linear"] : targets, scheme));
        result.ignored.AddRange(modules.Where(m => m.Value is null).Select(m => m.Key).Order(StringComparer.Ordinal));
        return result;
    }

    /// <summary>Reads a configuration.</summary>
    /// <param name="config">The value of <c>quantization_config</c>.</param>
    /// <param name="file">The file it is from, for messages.</param>
    /// <exception cref="ModelFileException">The format is another one, or a member is missing or malformed.</exception>
    public static CompressedTensorsConfig Read(JsonElement config, string file)
    {
        var reader = new QuantizationConfigReader(config, file);
        reader.Expect("quant_method", "compressed-tensors");
        var format = reader.String("format");
        var sparsity = reader.Has(SparsityKey) && reader.Object(SparsityKey).Has("format") ? reader.Object(SparsityKey).String("format") : Dense;
        if (format is not (PackQuantized or IntQuantized or NaiveQuantized or Dense))
        {
            throw reader.Wrong("format",
                $"is \"{Suggestion.Shorten(format)}\"; {PackQuantized}, {IntQuantized}, {NaiveQuantized} and {Dense} with {Sparse24} are read.");
        }
        if (sparsity is not (Dense or Sparse24) || (sparsity == Sparse24) != (format == Dense))
            throw reader.Wrong($"{SparsityKey}.format", $"is \"{Suggestion.Shorten(sparsity)}\"; {Sparse24} is read, and with the format {Dense} only.");
        var result = new CompressedTensorsConfig(format == NaiveQuantized ? IntQuantized : format);
        if (format == Dense) return result;
        result.ignored.AddRange(reader.Strings("ignore"));
        RequirePatterns(reader, "ignore", result.ignored);
        foreach (var group in reader.Objects("config_groups"))
        {
            if (group.Has("input_activations"))
                throw group.Wrong("input_activations", "is set: quantized activations are not read.");
            var weights = group.Object("weights");
            weights.Expect("type", "int");
            var strategy = weights.String("strategy");
            if (strategy is not ("group" or "channel" or "tensor"))
                throw weights.Wrong("strategy", $"is \"{strategy}\"; group, channel and tensor are read.");
            var order = weights.OptionalString("actorder");
            var scheme = new QuantizationScheme(
                weights.Integer("num_bits", 2, 8),
                strategy == "group" ? weights.Integer("group_size", 1, int.MaxValue) : null,
                weights.Boolean("symmetric"),
                order is "group" or "dynamic",
                ElementType.F32);
            var targets = group.Strings("targets");
            RequirePatterns(group, "targets", targets);
            result.groups.Add((targets, scheme));
        }
        return result;
    }

    /// <summary>How a module is quantized; null where it stays dense. Names count before patterns and patterns before classes.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    public QuantizationScheme? SchemeOf(string module)
    {
        if (ignored.Exists(t => Rank(t, module) is 0 or 1)) return null;
        return groups.SelectMany(g => g.Targets.Select(t => (Rank: Rank(t, module), g.Scheme)))
            .Where(m => m.Rank is not null).OrderBy(m => m.Rank).FirstOrDefault().Scheme;
    }

    /// <summary>The configuration of a checkpoint with weights that are stored 2:4.</summary>
    /// <param name="dense">Linear modules that are stored as they are.</param>
    /// <param name="zeros">Share of zeros in the others.</param>
    public static JsonObject OfSparse24(IEnumerable<string> dense, double zeros)
    {
        var json = new CompressedTensorsConfig(Dense).ToJson();
        json[SparsityKey] = new JsonObject
        {
            ["format"] = Sparse24,
            ["targets"] = new JsonArray("Linear"),
            ["ignore"] = new JsonArray([.. dense.Order(StringComparer.Ordinal).Select(n => (JsonNode)n)]),
            ["global_sparsity"] = zeros,
            ["sparsity_structure"] = "2:4",
        };
        return json;
    }

    /// <summary>The value of <c>quantization_config</c>.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject
        {
            ["quant_method"] = "compressed-tensors",
            ["format"] = Format,
            ["quantization_status"] = "compressed",
            ["global_compression_ratio"] = null,
            ["kv_cache_scheme"] = null,
            ["ignore"] = new JsonArray([.. ignored.Select(name => (JsonNode)name)]),
        };
        var configGroups = new JsonObject();
        for (var i = 0; i < groups.Count; i++) configGroups[$"group_{i}"] = GroupJson(groups[i].Targets, groups[i].Scheme);
        json["config_groups"] = configGroups;
        return json;
    }

    static JsonObject GroupJson(IReadOnlyList<string> targets, QuantizationScheme scheme) => new()
    {
        ["targets"] = new JsonArray([.. targets.Select(name => (JsonNode)name)]),
        ["weights"] = new JsonObject
        {
            ["num_bits"] = scheme.Bits,
            ["type"] = "int",
            ["symmetric"] = scheme.Symmetric,
            ["strategy"] = scheme.GroupSize is null ? "channel" : "group",
            ["group_size"] = scheme.GroupSize is { } size ? JsonValue.Create(size) : null,
            ["block_structure"] = null,
            ["dynamic"] = false,
            ["actorder"] = scheme.ActivationOrder ? "group" : null,
            ["observer"] = "minmax",
            ["observer_kwargs"] = new JsonObject(),
        },
        ["input_activations"] = null,
        ["output_activations"] = null,
    };

    /// <summary>0 for the module's name, 1 for a pattern that matches its beginning, 2 for its class; null for no match.</summary>
    static int? Rank(string target, string module)
    {
        if (target == module) return 0;
        if (target.StartsWith(PatternMark, StringComparison.Ordinal)) return Pattern(target).IsMatch(module) ? 1 : null;
        return target == "Linear" ? 2 : null;
    }

    /// <summary>A pattern as Python's re.match takes it, from the beginning. Without backtracking no pattern can take forever.</summary>
    static Regex Pattern(string target) =>
        new($"^(?:{target[PatternMark.Length..]})", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);

    static void RequirePatterns(QuantizationConfigReader reader, string member, IReadOnlyList<string> targets)
    {
        foreach (var target in targets.Where(t => t.StartsWith(PatternMark, StringComparison.Ordinal)))
        {
            try
            {
                Pattern(target);
            }
            catch (Exception e) when (e is ArgumentException or NotSupportedException)
            {
                throw reader.Wrong(member, $"has the pattern \"{Suggestion.Shorten(target)}\", which cannot be used.");
            }
        }
    }
}
