namespace Compress.Formats.Checkpoints;

/// <summary>Says why something that looks like a model is not read, and what to do instead.</summary>
internal static class Refusal
{
    static readonly string[] PickleExtensions = [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"];

    /// <summary>Why a folder without <c>config.json</c> or without safetensors is refused.</summary>
    public static ModelFileException OfFolder(string folder, bool hasConfig, bool hasWeights)
    {
        var names = Directory.EnumerateFiles(folder).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal).ToList();
        if (!hasWeights)
        {
            if (names.Find(HasExtension(".gguf")) is { } gguf) return Gguf(Path.Combine(folder, gguf));
            if (names.Find(n => Llama2cFile.LooksLikeOne(Path.Combine(folder, n))) is { } llama && !hasConfig)
                return new(folder, $"it has no config.json, but {llama} is a llama2.c model.",
                    $"Open {Path.Combine(folder, llama)} itself.");
            if (names.Find(IsPickle) is { } pickle) return Pickle(Path.Combine(folder, pickle), folder);
            if (names.Count == 0) return new(folder, "the folder is empty.", "A model folder has config.json and model.safetensors.");
        }
        if (hasConfig) return new(folder, "it has a config.json but no weights.", "Put model.safetensors beside it.");
        var found = hasWeights ? "it has weights but no config.json." : "it has neither config.json nor model.safetensors.";
        return new(folder, found, "A model folder has config.json, model.safetensors and the tokenizer's files.");
    }

    /// <summary>Why a file is refused as a model.</summary>
    public static ModelFileException OfFile(string path)
    {
        var name = Path.GetFileName(path);
        if (HasExtension(".gguf")(name)) return Gguf(path);
        if (HasExtension(".safetensors")(name) || name == "config.json")
            return new(path, "this is one file of a model.", "Give the folder that holds it.");
        if (IsPickle(name)) return Pickle(path, Path.GetDirectoryName(Path.GetFullPath(path))!);
        return new(path, "this is not a model that can be read.",
            "Give a folder with config.json and model.safetensors, or a llama2.c .bin file.");
    }

    /// <summary>Whether a file begins like what torch.save writes: a zip archive, or a pickle with its next opcode.</summary>
    public static bool IsPickleContent(string path)
    {
        using var file = MappedFile.Open(path);
        var begin = file.Bytes(0, (int)Math.Min(file.Length, 4));
        // A pickle says its protocol and goes on with an opcode; a llama2.c size is below 2^24, so its fourth byte is 0.
        return begin.StartsWith("PK\x3\x4"u8) || begin is [0x80, >= 2 and <= 5, _, not 0];
    }

    static Predicate<string> HasExtension(string extension) => name => name.EndsWith(extension, StringComparison.OrdinalIgnoreCase);

    static bool IsPickle(string name) => Array.Exists(PickleExtensions, e => HasExtension(e)(name));

    static ModelFileException Gguf(string path) => new(
        path, "GGUF files are not read yet.", "Give the Hugging Face folder that the file was made from.");

    static ModelFileException Pickle(string path, string folder) => new(
        path, "this is a PyTorch pickle, which can run any program when it is loaded; it is not read.",
        "If you trust its origin, convert it once: python -c \"from transformers import AutoModelForCausalLM as M; "
        + $"M.from_pretrained('{folder}').save_pretrained('{Path.TrimEndingDirectorySeparator(folder)}-safetensors')\"");
}
