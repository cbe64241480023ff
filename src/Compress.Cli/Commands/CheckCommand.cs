using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Evaluation;
using Compress.Core.Gates;
using Compress.Core.Runs;
using Compress.Formats;

namespace Compress.Cli.Commands;

/// <summary><c>compress check RUN|MODEL --baseline FILE</c>: a gate for CI, which fails where numbers became worse.</summary>
internal static class CheckCommand
{
    private const int MostShown = 20;

    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var subject = new Argument<string>("RUN|MODEL") { Description = "Folder of a finished run, or a model." };
        var baseline = new Option<string>("--baseline") { Description = "File of the numbers to compare with.", HelpName = "FILE", Required = true };
        var update = new Option<bool>("--update") { Description = "Write the baseline; tolerances that it holds stay." };
        var text = new Option<string?>("--text") { Description = "For a model: text, JSONL or Parquet file to measure on.", HelpName = "FILE" };
        var against = new Option<string?>("--against") { Description = "For a model: the original, for divergence and agreement.", HelpName = "MODEL" };
        var protocol = new Option<string>("--protocol")
        {
            Description = "For a model: perplexity protocol.",
            HelpName = "NAME",
            DefaultValueFactory = _ => EvaluationProtocol.All[0].Name,
        };
        var windows = new Option<int?>("--max-windows") { Description = "For a model: score at most this many windows.", HelpName = "N" };
        var speed = new Option<bool>("--speed") { Description = "For a run: compare tokens per second too." };
        var junit = new Option<string?>("--junit") { Description = "Write the verdicts as JUnit XML.", HelpName = "FILE" };
        var command = new ExampleCommand("check", "Compares a run or a model with a committed baseline; exit code 1 where a number became worse.",
            "check runs/quickstart --baseline baseline.json --update",
            "check models/embedded --text data/heldout.txt --baseline tests/baselines/embedded.json --junit check.xml")
        { subject, baseline, update, text, against, protocol, windows, speed, junit };
        host.Attach(command, async (parsed, session) =>
        {
            var name = parsed.GetValue(subject)!;
            var isRun = File.Exists(Path.Combine(name, RunFolder.RunFile));
            if (!isRun && parsed.GetValue(text) is null)
                throw new UsageException($"{name} is no run (it has no {RunFolder.RunFile}). For a model say what to measure it on: --text FILE.");
            var measured = isRun
                ? GateMeasurement.OfRun(name, parsed.GetValue(speed))
                : await session.ShowProgressAsync(progress => GateMeasurement.OfModelAsync(
                    new ModelEvaluation
                    {
                        Model = name,
                        Against = parsed.GetValue(against),
                        Text = parsed.GetValue(text)!,
                        Protocol = EvaluationProtocol.Find(parsed.GetValue(protocol)!),
                        Options = new EvaluationOptions { MaxWindows = parsed.GetValue(windows) },
                    },
                    progress, session.Cancellation));
            var file = parsed.GetValue(baseline)!;
            return parsed.GetValue(update)
                ? Update(session, file, measured)
                : Judge(session, name, file, parsed.GetValue(junit), measured);
        });
        return command;
    }

    private static int Update(CommandSession session, string file, GateMeasurement measured)
    {
        var baseline = GateBaseline.Of(measured, File.Exists(file) ? GateBaseline.Read(file) : null);
        baseline.Write(file);
        return session.Write(baseline, text => text.WriteLine($"{file}: {baseline.Metrics.Count} numbers written"));
    }

    private static int Judge(CommandSession session, string subject, string file, string? junit, GateMeasurement measured)
    {
        var verdicts = GateBaseline.Read(file).Compare(file, measured);
        if (junit is not null) AtomicFile.Write(junit, stream => JUnitReport.Write(stream, subject, verdicts));
        var failed = verdicts.Where(v => !v.Passed).ToList();
        if (Environment.GetEnvironmentVariable("GITHUB_ACTIONS") == "true")
        {
            foreach (var verdict in failed.Take(MostShown))
                session.Error.WriteLine($"::error title=compress check::{Printable.Of(JUnitReport.Sentence(verdict)).Replace("%", "%25", StringComparison.Ordinal)}");
        }
        session.Write(new { Passed = failed.Count == 0, Verdicts = verdicts }, text =>
        {
            foreach (var verdict in failed.Take(MostShown)) text.WriteLine($"worse: {Printable.Of(JUnitReport.Sentence(verdict))}");
            if (failed.Count > MostShown) text.WriteLine($"and {failed.Count - MostShown} more");
            if (failed.Count == 0) text.WriteLine(Printable.Of("nearest to its limit: " + JUnitReport.Sentence(verdicts.MaxBy(v => v.Change / Math.Max(v.Allowed, double.Epsilon))!)));
            text.WriteLine($"{verdicts.Count - failed.Count} of {verdicts.Count} numbers are as good as in {file}");
        });
        return failed.Count == 0 ? ExitCode.Fine : ExitCode.GateFailed;
    }

    /// <summary>The command line does not say what to measure.</summary>
    private sealed class UsageException(string message) : CompressException(message);
}
