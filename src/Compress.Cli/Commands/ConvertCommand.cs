using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Formats.Checkpoints;

namespace Compress.Cli.Commands;

/// <summary><c>compress convert IN OUT --format hf</c>: another format, the same numbers.</summary>
internal static class ConvertCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var from = new Argument<string>("IN") { Description = "Model folder, or a llama2.c .bin file." };
        var to = new Argument<string>("OUT") { Description = "Folder to write." };
        var format = new Option<string>("--format") { Description = "Format to write.", DefaultValueFactory = _ => "hf" };
        format.AcceptOnlyFromAmong("hf");
        var overwrite = new Option<bool>("--overwrite") { Description = "Replace OUT where something else wrote it." };
        var command = new ExampleCommand("convert", "Writes a model in another format without changing a weight.",
            "convert stories15M.bin models/stories15M --format hf")
        { from, to, format, overwrite };
        host.Attach(command, (parsed, session) =>
            ConvertAsync(session, parsed.GetValue(from)!, parsed.GetValue(to)!, parsed.GetValue(overwrite)));
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
}
