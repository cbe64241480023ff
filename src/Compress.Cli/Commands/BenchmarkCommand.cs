using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Progress;
using Compress.Runtime.Measuring;
using Compress.Runtime.Model;

namespace Compress.Cli.Commands;

/// <summary><c>compress benchmark MODEL</c>: how fast the engine in C# runs a model here, and how near that is to what the machine can do.</summary>
internal static class BenchmarkCommand
{
    private static readonly SpeedOptions Defaults = new();

    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var model = new Argument<string>("MODEL") { Description = "Model folder, GGUF file, or llama2.c .bin file." };
        var prompt = new Option<int>("--prompt") { Description = "Tokens of the prompt.", DefaultValueFactory = _ => Defaults.Prompt, HelpName = "N" };
        var generate = new Option<int>("--generate")
        {
            Description = "Tokens to generate.",
            DefaultValueFactory = _ => Defaults.Generate,
            HelpName = "N",
        };
        var repetitions = new Option<int>("--repetitions")
        {
            Description = "How often both are timed.",
            DefaultValueFactory = _ => Defaults.Repetitions,
            HelpName = "N",
        };
        var threads = EngineOptions.Threads();
        var activations = EngineOptions.Activations();
        var command = new ExampleCommand("benchmark", "Times prompt and generation with the engine in C#, beside this machine's limits.",
            "benchmark models/embedded --prompt 256", "benchmark model.gguf --threads 2 --json")
        { model, prompt, generate, repetitions, threads, activations };
        host.Attach(command, async (parsed, session) =>
        {
            var options = new SpeedOptions
            {
                Prompt = parsed.GetValue(prompt),
                Generate = parsed.GetValue(generate),
                Repetitions = parsed.GetValue(repetitions),
            };
            var run = new RuntimeOptions { Threads = parsed.GetValue(threads), Activations = parsed.GetValue(activations) };
            var result = await session.ShowProgressAsync(progress =>
                Task.Run(() => Measure(parsed.GetValue(model)!, run, options, progress, session.Cancellation)));
            return session.Write(result, text => Write(text, result));
        });
        return command;
    }

    private static SpeedResult Measure(
        string path, RuntimeOptions run, SpeedOptions options, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        SpeedResult result;
        progress.Report(new PhaseStarted($"time {Path.GetFileName(path)}", options.Repetitions, "repetitions"));
        try
        {
            result = SpeedBenchmark.Run(path, run, options, new Steps(progress), cancellation);
        }
        catch (ArgumentException e)
        {
            throw new UsageException($"{e.Message} See compress benchmark --help.");
        }
        progress.Report(new PhaseEnded());
        progress.Report(new PhaseStarted("measure the machine", null, ""));
        result = result with { Machine = MachineRates.Measure(result.Threads, TimeSpan.FromSeconds(1)) };
        progress.Report(new PhaseEnded());
        return result;
    }

    private static void Write(TextWriter text, SpeedResult r)
    {
        var table = new TextTable("", ">median", ">lowest", ">highest", "");
        table.Add($"prompt, {r.PromptTokens} tokens", Human.Rate(r.PromptTokensPerSecond), Human.Rate(r.PromptTokensPerSecondLowest),
            Human.Rate(r.PromptTokensPerSecondHighest), "tokens/s");
        table.Add($"generate, {r.GenerateTokens} tokens", Human.Rate(r.GenerateTokensPerSecond), Human.Rate(r.GenerateTokensPerSecondLowest),
            Human.Rate(r.GenerateTokensPerSecondHighest), "tokens/s");
        table.Write(text);
        text.WriteLine();
        var machine = r.Machine!;
        var facts = new TextTable("", "");
        facts.Add("threads", Human.Count(r.Threads));
        facts.Add("activations", r.Activations);
        foreach (var use in r.Encodings) facts.Add(use.Encoding, $"{Human.Count(use.Weights)} weights, {use.Use}");
        facts.Add("opening the model", Human.Duration(TimeSpan.FromSeconds(r.LoadSeconds)));
        facts.Add("prompt to first token", Human.Duration(TimeSpan.FromSeconds(r.TimeToFirstToken)));
        facts.Add("weights read for a token", Human.Bytes(r.WeightBytes));
        facts.Add("peak memory", Human.Bytes(r.PeakRssBytes));
        facts.Add("memory read while generating",
            $"{Human.Bytes(r.GenerateTokensPerSecond * r.WeightBytes)}/s, {Human.Percent(r.BandwidthShare!.Value)} of this machine's "
            + $"{Human.Bytes(machine.ReadBytesPerSecond)}/s"
            + (r.BandwidthShare > 1 ? ": the weights stay in the processor's caches" : ""));
        facts.Add("arithmetic on the prompt",
            $"{Human.Operations(r.PromptTokensPerSecond * r.PromptOperationsPerToken)}/s, {Human.Percent(r.FloatShare!.Value)} of this machine's "
            + $"{Human.Operations(machine.FloatOperationsPerSecond)}/s in f32, {Human.Percent(r.IntegerShare!.Value)} of "
            + $"{Human.Operations(machine.IntegerOperationsPerSecond)}/s in 8-bit integers");
        facts.Write(text);
    }

    private sealed class Steps(IProgress<RunEvent> progress) : IProgress<int>
    {
        public void Report(int value) => progress.Report(new PhaseAdvanced(value));
    }
}
