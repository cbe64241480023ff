using System.Globalization;
using System.Security.Cryptography;
using Compress.Core.Recipes;
using Compress.Formats;
using YamlDotNet.RepresentationModel;

namespace Compress.Core.Runs;

/// <summary>
/// Everything that decides a run's result, as names and values: the recipe's keys with defaults filled in, and SHA-256 hashes of the model
/// and the texts. A run goes on only where all of them are as they were.
/// </summary>
/// <remarks>Paths and the run's name are left out: a model that was moved is the same model.</remarks>
internal static class RunInputs
{
    private const string Llama2cTokenizers = "tok*.bin";

    private static readonly string[] ModelPatterns = ["*.safetensors", "*.json", "*.model", Llama2cTokenizers, "merges.txt", "vocab.txt"];

    /// <summary>Reads everything; large files are read through once.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="settings">What else decides the result: device, arithmetic.</param>
    /// <param name="progress">Takes the number of bytes read.</param>
    /// <param name="cancellation">Checked between files.</param>
    /// <exception cref="ModelFileException">A file is missing or cannot be read.</exception>
    public static SortedDictionary<string, string> Collect(
        Recipe recipe, IReadOnlyDictionary<string, string> settings, Action<long>? progress, CancellationToken cancellation)
    {
        var inputs = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var places = StageInputs.Of(recipe).Select(i => i.Key).ToHashSet(StringComparer.Ordinal);
        foreach (var (key, value) in Flatten(RecipeWriter.Write(recipe)))
        {
            if (!IsPlace(key) && !places.Contains(key)) inputs[$"recipe.{key}"] = value;
        }
        foreach (var (key, value) in settings) inputs[key] = value;
        foreach (var (key, file) in Files(recipe))
        {
            cancellation.ThrowIfCancellationRequested();
            inputs[key] = "sha256:" + Hash(file, progress);
        }
        return inputs;
    }

    /// <summary>The differences of two sets of inputs, each a sentence with key, old and new value.</summary>
    public static IReadOnlyList<string> Differences(IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> now)
    {
        var keys = before.Keys.Union(now.Keys).Order(StringComparer.Ordinal);
        return [.. keys
            .Where(key => before.GetValueOrDefault(key) != now.GetValueOrDefault(key))
            .Select(key => $"{key} was {Shown(before, key)}, is {Shown(now, key)}")];
    }

    /// <summary>SHA-256 of a file, lower-case hexadecimal.</summary>
    /// <exception cref="ModelFileException">The file is missing or cannot be read.</exception>
    public static string Hash(string file, Action<long>? progress = null)
    {
        try
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
            using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var buffer = new byte[1 << 20];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                sha256.AppendData(buffer, 0, read);
                progress?.Invoke(read);
            }
            return Convert.ToHexStringLower(sha256.GetHashAndReset());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(file, $"cannot be read ({e.Message.TrimEnd('.')}).", "Check the path and its permissions.", e);
        }
    }

    /// <summary>The files whose content decides the result, by key.</summary>
    public static IReadOnlyList<(string Key, string File)> Files(Recipe recipe)
    {
        var files = ModelFiles(recipe.Model).Select(file => ($"model.{Path.GetFileName(file)}", file)).ToList();
        if (recipe.Calibration is { } calibration) files.Add(("calibration.data", calibration.Data));
        foreach (var (i, perplexity) in recipe.Evaluate.OfType<PerplexityRecipe>().Index())
        {
            files.Add((string.Create(CultureInfo.InvariantCulture, $"evaluate.{i}.data"), perplexity.Data));
        }
        foreach (var input in StageInputs.Of(recipe))
        {
            files.AddRange(Directory.Exists(input.Path)
                ? ModelFiles(input.Path).Select(file => ($"{input.Key}.{Path.GetFileName(file)}", file))
                : [(input.Key, input.Path)]);
        }
        return files;
    }

    /// <summary>The files that hold a model's weights.</summary>
    public static IReadOnlyList<string> WeightFiles(string model) =>
        Directory.Exists(model) ? Directory.GetFiles(model, "*.safetensors") : [model];

    private static IEnumerable<string> ModelFiles(string model)
    {
        if (File.Exists(model))
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(model))!;
            return Directory.EnumerateFiles(folder, Llama2cTokenizers).Order(StringComparer.Ordinal).Prepend(model);
        }
        return ModelPatterns.SelectMany(pattern => Directory.EnumerateFiles(model, pattern)).Distinct().Order(StringComparer.Ordinal);
    }

    private static bool IsPlace(string key) => key is "model" or "name" || key.EndsWith(".data", StringComparison.Ordinal);

    private static string Shown(IReadOnlyDictionary<string, string> inputs, string key) =>
        inputs.TryGetValue(key, out var value) ? value : "absent";

    private static IEnumerable<(string Key, string Value)> Flatten(string yaml)
    {
        var stream = new YamlStream();
        using var reader = new StringReader(yaml);
        stream.Load(reader);
        return stream.Documents.SelectMany(d => Flatten("", d.RootNode));
    }

    private static IEnumerable<(string Key, string Value)> Flatten(string prefix, YamlNode node) => node switch
    {
        YamlMappingNode map => map.Children.SelectMany(c => Flatten(Join(prefix, ((YamlScalarNode)c.Key).Value ?? ""), c.Value)),
        YamlSequenceNode list => list.Children.SelectMany((c, i) => Flatten(Join(prefix, i.ToString(CultureInfo.InvariantCulture)), c)),
        YamlScalarNode scalar => [(prefix, scalar.Value ?? "")],
        _ => [],
    };

    private static string Join(string prefix, string key) => prefix.Length == 0 ? key : $"{prefix}.{key}";
}
