using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// Writes a folder that transformers can load: <c>config.json</c>, <c>generation_config.json</c>, tokenizer files, and safetensors in
/// shards with an index where one file would be too large. All tensors are declared first; a tensor that is shared (a tied head) is
/// declared once, under its first name. The folder appears under its name only when it is complete.
/// </summary>
public sealed class HuggingFaceFolderWriter : IDisposable
{
    const string WriterKey = "writer";
    const string WriterName = "Compress";

    static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Files of a model that are copied as they are.</summary>
    static readonly string[] SupportFiles =
    [
        "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.bin",
        "chat_template.jinja", "chat_template.json", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md",
    ];

    readonly AtomicFolder folder;
    readonly List<SafetensorsWriter> shards = [];
    readonly Dictionary<string, SafetensorsWriter> shardOf = new(StringComparer.Ordinal);

    HuggingFaceFolderWriter(AtomicFolder folder) => this.folder = folder;

    /// <summary>Where the folder will be.</summary>
    public string TargetPath => folder.TargetPath;

    /// <summary>Where further files of the folder may be written before <see cref="Complete"/>.</summary>
    public string TemporaryPath => folder.TemporaryPath;

    /// <summary>Begins a folder and writes its <c>config.json</c>.</summary>
    /// <param name="target">The folder.</param>
    /// <param name="config">The content of <c>config.json</c>.</param>
    /// <param name="tensors">Every tensor, in the order in which shards are filled.</param>
    /// <param name="options">Shard size and whether foreign folders are replaced; null for the defaults.</param>
    /// <exception cref="ArgumentException">A name appears twice, or sizes contradict each other.</exception>
    /// <exception cref="ModelFileException">
    /// The target holds something that this class did not write and <see cref="FolderWriterOptions.Overwrite"/> is not set, or the
    /// disk cannot take the files.
    /// </exception>
    public static HuggingFaceFolderWriter Create(
        string target, JsonElement config, IReadOnlyList<TensorInfo> tensors, FolderWriterOptions? options = null)
    {
        options ??= new FolderWriterOptions();
        if (!options.Overwrite) RefuseForeign(target);
        var writer = new HuggingFaceFolderWriter(AtomicFolder.Create(target));
        try
        {
            writer.WriteJson("config.json", config);
            writer.AddShards(tensors, options.MaximumShardBytes);
            return writer;
        }
        catch
        {
            writer.Dispose();
            throw;
        }
    }

    /// <summary>Copies a model unchanged, e.g. a llama2.c file into a folder. A head that is tied is left out.</summary>
    /// <param name="source">The model.</param>
    /// <param name="target">The folder.</param>
    /// <param name="options">Shard size and whether foreign folders are replaced; null for the defaults.</param>
    /// <param name="written">Called after each tensor; what it throws ends the copy and leaves nothing behind.</param>
    /// <exception cref="ModelFileException">The model's architecture is unknown, or the folder cannot be written.</exception>
    public static void Copy(ModelFolder source, string target, FolderWriterOptions? options = null, Action<TensorInfo>? written = null)
    {
        var head = source.Spec.Head;
        var tied = head.Tied && head.Linear.Weight.Tensor != $"{head.Linear.Name}.weight" ? $"{head.Linear.Name}.weight" : null;
        TensorInfo[] tensors = [.. source.Tensors.Tensors.Values.Where(t => t.Name != tied)];
        using var writer = Create(target, source.Config, tensors, options);
        writer.CopySupportFiles(source);
        foreach (var tensor in tensors)
        {
            writer.Write(tensor.Name, source.Tensors.Open(tensor.Name));
            source.Tensors.Release(tensor.Name);
            written?.Invoke(tensor);
        }
        writer.Complete();
    }

    /// <summary>Copies tokenizer files, <c>generation_config.json</c> and licences of a model, byte for byte.</summary>
    /// <param name="source">The model that they belong to.</param>
    /// <exception cref="ModelFileException">A file leads out of the model's folder, or cannot be copied.</exception>
    public void CopySupportFiles(ModelFolder source)
    {
        if (source.Tensors is Llama2cFile)
        {
            if (source.FindLlama2cTokenizer() is { } tokenizer) CopyFile(tokenizer, "tokenizer.bin");
            return;
        }
        foreach (var name in SupportFiles)
        {
            var file = ContainedPath.Of(source.Path, name);
            if (File.Exists(file)) CopyFile(file, name);
        }
    }

    /// <summary>Writes a further JSON file, e.g. <c>generation_config.json</c>, indented.</summary>
    /// <param name="name">Its name in the folder.</param>
    /// <param name="content">Its content.</param>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public void WriteJson(string name, JsonElement content) =>
        AtomicFile.WriteText(Path.Combine(TemporaryPath, name), JsonSerializer.Serialize(content, Json) + "\n");

    /// <summary>Adds bytes to a tensor, behind those that it already has; see <see cref="SafetensorsWriter"/>.</summary>
    /// <param name="name">A declared tensor.</param>
    /// <param name="bytes">The next little-endian row-major bytes.</param>
    /// <exception cref="ArgumentException">The tensor was not declared, or would get more bytes than declared.</exception>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public void Write(string name, ReadOnlySpan<byte> bytes) => Shard(name).Write(name, bytes);

    /// <summary>Copies a whole tensor of the same type and shape.</summary>
    /// <param name="name">A declared tensor.</param>
    /// <param name="source">Its bytes.</param>
    /// <exception cref="ArgumentException">The tensor was not declared, or has another size.</exception>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public void Write(string name, TensorView source) => Shard(name).Write(name, source);

    /// <summary>Completes all files and gives the folder its name, in place of an older one.</summary>
    /// <exception cref="InvalidOperationException">A tensor lacks bytes.</exception>
    /// <exception cref="ModelFileException">A file cannot be written or renamed.</exception>
    public void Complete()
    {
        foreach (var shard in shards) shard.Complete();
        folder.Complete();
    }

    /// <summary>Removes everything that was written if <see cref="Complete"/> was not reached.</summary>
    public void Dispose()
    {
        foreach (var shard in shards) shard.Dispose();
        folder.Dispose();
    }

    SafetensorsWriter Shard(string name) => shardOf.TryGetValue(name, out var shard)
        ? shard
        : throw new ArgumentException($"tensor {name} was not declared", nameof(name));

    void CopyFile(string file, string name)
    {
        var copy = Path.Combine(TemporaryPath, name);
        try
        {
            using var content = File.OpenRead(file);
            AtomicFile.Write(copy, content.CopyTo);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FileFailure.Reading(file, e);
        }
    }

    void AddShards(IReadOnlyList<TensorInfo> tensors, long maximumBytes)
    {
        var groups = new List<List<TensorInfo>> { new() };
        var size = 0L;
        foreach (var tensor in tensors)
        {
            if (size > 0 && size + tensor.ByteCount > maximumBytes)
            {
                groups.Add([]);
                size = 0;
            }
            groups[^1].Add(tensor);
            size += tensor.ByteCount;
        }
        var metadata = new Dictionary<string, string> { ["format"] = "pt", [WriterKey] = WriterName };
        for (var i = 0; i < groups.Count; i++)
        {
            var shard = SafetensorsWriter.Create(Path.Combine(TemporaryPath, ShardName(i, groups.Count)), groups[i], metadata);
            shards.Add(shard);
            foreach (var tensor in groups[i]) shardOf.Add(tensor.Name, shard);
        }
        if (groups.Count > 1) WriteIndex(groups);
    }

    static string ShardName(int index, int count) => count == 1
        ? SafetensorsFolder.SingleName
        : string.Create(CultureInfo.InvariantCulture, $"model-{index + 1:D5}-of-{count:D5}.safetensors");

    void WriteIndex(List<List<TensorInfo>> groups)
    {
        var map = groups.SelectMany((group, i) => group.Select(t => (t.Name, File: ShardName(i, groups.Count))))
            .OrderBy(t => t.Name, StringComparer.Ordinal)
            .ToDictionary(t => t.Name, t => t.File, StringComparer.Ordinal);
        var total = groups.Sum(group => group.Sum(t => t.ByteCount));
        var index = new Dictionary<string, object>
        {
            ["metadata"] = new Dictionary<string, long> { ["total_size"] = total },
            ["weight_map"] = map,
        };
        WriteJson(SafetensorsFolder.IndexName, JsonSerializer.SerializeToElement(index));
    }

    /// <summary>
    /// Refuses to replace a folder unless it is empty or holds a model of this writer and nothing else than what an export has
    /// (names beginning with "compress" are for what exporters add).
    /// </summary>
    static void RefuseForeign(string target)
    {
        if (!Directory.Exists(target)) return;
        var names = Directory.EnumerateFileSystemEntries(target).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal).ToList();
        if (names.Count == 0) return;
        const string Remedy = "Choose another folder, remove this one, or ask for it to be overwritten.";
        if (names.Find(n => !MayBeOurs(n)) is { } other)
            throw new ModelFileException(
                target, $"the folder exists and holds {Suggestion.Shorten(other)}, which was not exported to it.", Remedy);
        var weights = names.Find(n => n.EndsWith(".safetensors", StringComparison.Ordinal));
        if (weights is null || !HasOurMark(Path.Combine(target, weights)))
            throw new ModelFileException(target, "the folder exists and was not written by Compress.", Remedy);
    }

    static bool MayBeOurs(string name) =>
        name is "config.json" or SafetensorsFolder.IndexName
        || name.EndsWith(".safetensors", StringComparison.Ordinal)
        || name.StartsWith("compress", StringComparison.Ordinal)
        || SupportFiles.Contains(name);

    static bool HasOurMark(string path)
    {
        try
        {
            using var file = SafetensorsFile.Map(path);
            return file.Metadata.GetValueOrDefault(WriterKey) == WriterName;
        }
        catch (ModelFileException)
        {
            return false;
        }
    }
}
