using System.CommandLine;
using System.Globalization;
using Compress.Cli.Reports;
using Compress.Cli.Terminal;
using Compress.Formats.Checkpoints;

namespace Compress.Cli.Commands;

/// <summary><c>compress inspect MODEL</c>: what a model consists of, from its headers.</summary>
internal static class InspectCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var model = new Argument<string>("MODEL") { Description = "Model folder, or a llama2.c .bin file." };
        var sites = new Option<bool>("--sites") { Description = "List every linear that recipes can name in targets and ignore." };
        var sparsity = new Option<bool>("--sparsity") { Description = "Read the weights and count their zeros." };
        var command = new ExampleCommand("inspect", "Shows a model's configuration, tensors by type, and sites.",
            "inspect models/embedded", "inspect models/embedded --sites --sparsity")
        { model, sites, sparsity };
        host.Attach(command, async (parsed, session) =>
        {
            using var folder = ModelFolder.Open(parsed.GetValue(model)!);
            var report = parsed.GetValue(sparsity)
                ? await session.ShowProgressAsync(progress => Task.Run(() =>
                {
                    using var bytes = new ByteProgress(progress, "count zeros", ModelReport.SiteBytes(folder), session.Cancellation);
                    return ModelReport.Of(folder, bytes.Add);
                }))
                : ModelReport.Of(folder);
            return session.Write(report, text => Write(text, report, parsed.GetValue(sites)));
        });
        return command;
    }

    private static void Write(TextWriter text, ModelReport report, bool sites)
    {
        WriteSummary(text, report);
        text.WriteLine();
        var types = new TextTable("type", ">tensors", ">elements", ">bytes");
        foreach (var t in report.Types) types.Add(t.Type, Human.Count(t.Tensors), Human.Count(t.Elements), Human.Bytes(t.Bytes));
        types.Write(text);
        text.WriteLine();
        if (report.Encodings.Count > 0)
        {
            var encodings = new TextTable("encoding", ">weights", ">elements", ">bytes", ">bits a weight");
            foreach (var e in report.Encodings)
                encodings.Add(e.Encoding, Human.Count(e.Weights), Human.Count(e.Elements), Human.Bytes(e.Bytes), Human.Fixed(8.0 * e.Bytes / e.Elements, 2));
            encodings.Write(text);
            text.WriteLine();
        }
        if (sites) WriteSites(text, report);
        else WriteRoles(text, report);
    }

    private static void WriteSummary(TextWriter text, ModelReport report)
    {
        var table = new TextTable("", "");
        table.Add("model", report.Path);
        table.Add("family", report.Family);
        table.Add("hidden size", Human.Count(report.HiddenSize));
        table.Add("blocks", Human.Count(report.Blocks));
        if (report.Heads is { } heads)
            table.Add("heads", string.Create(CultureInfo.InvariantCulture, $"{heads}, {report.KeyValueHeads} key/value"));
        if (report.IntermediateSize is { } channels) table.Add("MLP channels", Human.Count(channels));
        table.Add("vocabulary", Human.Count(report.VocabularySize) + (report.TiedHead ? ", head tied" : ""));
        table.Add("context", Human.Count(report.MaxPositions));
        table.Add("parameters", Human.Count(report.Parameters));
        table.Add("bytes", $"{Human.Bytes(report.Bytes)}, {Human.Fixed(report.BitsPerWeight, 2)} bits a weight");
        if (report.Zeros is { } zeros) table.Add("zeros in blocks", Human.Percent(zeros));
        table.Write(text);
    }

    private static void WriteSites(TextWriter text, ModelReport report)
    {
        var table = new TextTable("site", "role", ">rows", ">columns", "type", report.Zeros is null ? "" : ">zeros");
        foreach (var s in report.Sites)
            table.Add(s.Name, s.Role, Human.Count(s.Rows), Human.Count(s.Columns), s.Type, s.Zeros is { } z ? Human.Percent(z) : "");
        table.Write(text);
    }

    private static void WriteRoles(TextWriter text, ModelReport report)
    {
        var table = new TextTable("sites", ">count", "first", ">rows", ">columns", report.Zeros is null ? "" : ">zeros");
        foreach (var g in report.Sites.GroupBy(s => (s.Role, s.Rows, s.Columns)))
        {
            var first = g.First();
            var zeros = first.Zeros is null ? "" : Human.Percent(g.Average(s => s.Zeros!.Value));
            table.Add(first.Role, Human.Count(g.Count()), first.Name, Human.Count(first.Rows), Human.Count(first.Columns), zeros);
        }
        table.Write(text);
    }
}
