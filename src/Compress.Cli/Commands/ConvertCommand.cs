using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Progress;
using Compress.Formats.Checkpoints;
using Compress.Formats.Gguf;

namespace Compress.Cli.Commands;

/// <summary><c>compress convert IN OUT --format hf|gguf</c>: another format; the same numbers, or for GGUF those of the type asked for.</summary>
internal static class ConvertCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var from = new Argument<string>("IN") { Description = "Model folder, or a llama2.c .bin file." };
        var to = new Argument<string>("OUT") { Description = "Folder to write; for gguf, the file." };
        var format = new Option<string>("--format") { Description = "Format to write.", DefaultValueFactory = _ => "hf" };
        format.AcceptOnlyFromAmong("hf", "gguf");
        var type = new Option<string>("--type") { Description = "What GGUF tensors are stored as.", DefaultValueFactory = _ => "q4_k_m" };
        type.AcceptOnlyFromAmong([.. GgufMixture.Names]);
        var overwrite = new Option<bool>("--overwrite") { Description = "Replace OUT where something else wrote it." };
        var command = new ExampleCommand("convert", "Writes a model in another format: hf without changing a weight, gguf in a type of llama.cpp.",
            "convert stories15M.bin models/stories15M --format hf", "convert models/embedded embedded.gguf --format gguf --type q4_k_m")
        { from, to, format, type, overwrite };
        host.Attach(command, (parsed, session) => parsed.GetValue(format) == "gguf"
            ? GgufAsync(session, parsed.GetValue(from)!, parsed.GetValue(to)!, GgufMixture.Find(parsed.GetValue(type)!)!, parsed.GetValue(overwrite))
            : ConvertAsync(session, parsed.GetValue(from)!, parsed.GetValue(to)!, parsed.GetValue(overwrite)));
        return command;
    }

    private static async Task<int> ConvertAsync(CommandSession session, string from, string to, bool overwrite)
    {
        using var model = ModelFolder.Open(from);
        await session.ShowProgressAsync(progress => Task.Run(() =>
        {
            using var bytes = new ByteProgress(progress, $"write {to}", model.Tensors.Tensors.Values.Sum(t => t.ByteCount),
                session.Cancellation);
            HuggingFaceFolderWriter.Copy(model, to, new FolderWriterOptions { Overwrite = overwrite }, bytes.Add);
            return true;
        }));
        var files = new DirectoryInfo(to).EnumerateFiles().Select(f => new { f.Name, Bytes = f.Length })
            .OrderBy(f => f.Name, StringComparer.Ordinal).ToList();
        return session.Write(new { folder = to, format = "hf", bytes = files.Sum(f => f.Bytes), files }, text =>
        {
            text.WriteLine($"{to}: {Human.Bytes(files.Sum(f => f.Bytes))}");
            foreach (var file in files) text.WriteLine($"  {file.Name}  {Human.Bytes(file.Bytes)}");
        });
    }

    private static async Task<int> GgufAsync(CommandSession session, string from, string to, GgufMixture mixture, bool overwrite)
    {
        if (File.Exists(to) && !overwrite) throw new UsageException($"{to} exists; --overwrite replaces it.");
        using var model = ModelFolder.Open(from);
        var types = new SortedDictionary<string, int>(StringComparer.Ordinal);
        await session.ShowProgressAsync(progress => Task.Run(() =>
        {
            progress.Report(new PhaseStarted($"write {to}", model.Tensors.Tensors.Count, "tensors"));
            var done = 0;
            GgufExport.Write(model, to, mixture, (_, type) =>
            {
                session.Cancellation.ThrowIfCancellationRequested();
                types[type.ToString()] = types.GetValueOrDefault(type.ToString()) + 1;
                progress.Report(new PhaseAdvanced(++done));
            });
            progress.Report(new PhaseEnded());
            return true;
        }));
        var bytes = new FileInfo(to).Length;
        return session.Write(new { file = to, format = "gguf", type = mixture.Name, bytes, tensors = types }, text =>
        {
            text.WriteLine($"{to}: {Human.Bytes(bytes)}");
            // Types that the mixture does not name stand in where a row is not whole blocks.
            foreach (var (type, count) in types) text.WriteLine($"  {count} matrices as {type}");
        });
    }
}
