using System.Text.Json;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// The safetensors files of a Hugging Face folder: <c>model.safetensors</c>, or the shards that <c>model.safetensors.index.json</c>
/// lists. Where both exist the index counts.
/// </summary>
public sealed class SafetensorsFolder : ITensorSource
{
    /// <summary>Name of the one file of an unsharded checkpoint.</summary>
    public const string SingleName = "model.safetensors";

    /// <summary>Name of the index of a sharded checkpoint.</summary>
    public const string IndexName = "model.safetensors.index.json";

    const int MaximumIndexLength = 64 << 20;

    readonly Dictionary<string, SafetensorsFile> owners = new(StringComparer.Ordinal);
    readonly List<SafetensorsFile> files = [];

    SafetensorsFolder(string path) => Path = path;

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The mapped files, in the order of their names.</summary>
    public IReadOnlyList<SafetensorsFile> Files => files;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; private set; } = new Dictionary<string, TensorInfo>();

    /// <summary>Maps the folder's files and checks them and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="ModelFileException">
    /// There are no safetensors files; a file breaks the format; the index names a file outside the folder, a tensor that its shard
    /// lacks, or a tensor lies in two shards or in none of the index's.
    /// </exception>
    public static SafetensorsFolder Map(string folder)
    {
        var index = ContainedPath.Of(folder, IndexName);
        var result = new SafetensorsFolder(folder);
        try
        {
            if (File.Exists(index)) result.AddShards(index);
            else result.AddSingle(ContainedPath.Of(folder, SingleName));
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public TensorView Open(string name) => owners.TryGetValue(name, out var file)
        ? file.Open(name)
        : throw MissingTensor.In(Path, name, Tensors);

    /// <inheritdoc/>
    public void Release(string name)
    {
        if (owners.TryGetValue(name, out var file)) file.Release(name);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in files) file.Dispose();
    }

    void AddSingle(string path)
    {
        if (!File.Exists(path))
        {
            var shards = Directory.EnumerateFiles(Path, "*.safetensors").Select(System.IO.Path.GetFileName).Order(StringComparer.Ordinal);
            throw shards.FirstOrDefault() is { } other
                ? new ModelFileException(
                    Path, $"it holds {other}, but neither {SingleName} nor {IndexName}.",
                    $"Fetch {IndexName} as well, or rename a single file to {SingleName}.")
                : new ModelFileException(Path, "it holds no safetensors files.", "A model folder has config.json and model.safetensors.");
        }
        var file = SafetensorsFile.Map(path);
        files.Add(file);
        foreach (var name in file.Tensors.Keys) owners.Add(name, file);
        Tensors = file.Tensors;
    }

    void AddShards(string index)
    {
        var shardOf = ReadIndex(index);
        var tensors = new OrderedDictionary<string, TensorInfo>(shardOf.Count, StringComparer.Ordinal);
        foreach (var shard in shardOf.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var path = ContainedPath.Of(Path, shard, index);
            if (!File.Exists(path))
                throw new ModelFileException(
                    index, $"it names the file {Suggestion.Shorten(shard)}, which is missing.", "Fetch that file.");
            var file = SafetensorsFile.Map(path);
            files.Add(file);
            foreach (var (name, info) in file.Tensors)
            {
                if (!shardOf.TryGetValue(name, out var expected))
                    throw new ModelFileException(index, $"it does not list the tensor \"{Suggestion.Shorten(name)}\" of {shard}.", Mixed);
                if (expected != shard)
                {
                    throw new ModelFileException(
                        index,
                        $"it places the tensor \"{Suggestion.Shorten(name)}\" in {Suggestion.Shorten(expected)}, but {shard} has it.",
                        Mixed);
                }
                tensors.Add(name, info);
                owners.Add(name, file);
            }
        }
        foreach (var (name, shard) in shardOf)
        {
            if (!owners.ContainsKey(name))
            {
                throw new ModelFileException(
                    index, $"it places the tensor \"{Suggestion.Shorten(name)}\" in {shard}, which does not have it.", Mixed);
            }
        }
        Tensors = tensors;
    }

    const string Mixed = "Index and shards are not of the same checkpoint; fetch them again.";

    static Dictionary<string, string> ReadIndex(string index)
    {
        var root = JsonFile.ReadObject(index, MaximumIndexLength);
        if (!root.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
            throw new ModelFileException(index, "it has no object \"weight_map\".", "Fetch the index again.");
        var shardOf = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in map.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.String)
                throw new ModelFileException(
                    index, $"\"{Suggestion.Shorten(entry.Name)}\" is not mapped to a file name.", "Fetch the index again.");
            shardOf.Add(entry.Name, entry.Value.GetString()!);
        }
        return shardOf.Count > 0 ? shardOf : throw new ModelFileException(index, "its \"weight_map\" is empty.", "Fetch the index again.");
    }
}
