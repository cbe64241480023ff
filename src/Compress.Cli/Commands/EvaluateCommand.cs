using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Evaluation;
using Compress.Core.Recipes;
using Compress.Runtime.Model;

namespace Compress.Cli.Commands;

/// <summary><c>compress evaluate MODEL --text FILE</c>: perplexity by a stated protocol, and the distance to another model.</summary>
internal static class EvaluateCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var model = new Argument<string>("MODEL") { Description = "Model folder, GGUF file, or llama2.c .bin file." };
        var text = new Option<string>("--text")
        {
            Description = "Text, JSONL or Parquet file to measure on.",
            HelpName = "FILE",
            Required = true,
        };
        var window = new Option<int?>("--window") { Description = "Tokens of a window; default: the protocol's.", HelpName = "N" };
        var windows = new Option<int?>("--max-windows")
        {
            Description = "Score at most this many windows, the first ones.",
            HelpName = "N",
        };
        var protocol = new Option<string>("--protocol")
        {
            Description = "Perplexity protocol: " + string.Join("; ", EvaluationProtocol.All.Select(p => $"{p.Name}: {p.Summary}")),
            DefaultValueFactory = _ => EvaluationProtocol.All[0].Name,
            HelpName = "NAME",
        };
        var against = new Option<string?>("--against")
        {
            Description = "Original to compare with: KL divergence and top-1 agreement.",
            HelpName = "MODEL",
        };
        var engine = new Option<EvaluationEngine?>("--engine")
        {
            Description = "What computes the logits: the engine in C# (runtime; default for GGUF files and quantized folders) or torch.",
            HelpName = "runtime|torch",
        };
        var (threads, activations) = (EngineOptions.Threads(), EngineOptions.Activations());
        var command = new ExampleCommand("evaluate", "Measures perplexity and bits per byte, and the divergence to another model.",
            "evaluate models/embedded --text data/heldout.txt",
            "evaluate runs/quickstart/model --text data/heldout.txt --against models/embedded --json",
            "evaluate runs/quickstart/model-packed --text data/heldout.txt --engine runtime")
        { model, text, window, windows, protocol, against, engine, threads, activations };
        host.Attach(command, (parsed, session) => EvaluateAsync(session, parsed.GetValue(protocol)!, found => new ModelEvaluation
        {
            Model = parsed.GetValue(model)!,
            Against = parsed.GetValue(against),
            Text = parsed.GetValue(text)!,
            Protocol = found,
            Engine = parsed.GetValue(engine),
            Run = new RuntimeOptions { Threads = parsed.GetValue(threads), Activations = parsed.GetValue(activations) },
            Options = new EvaluationOptions { Window = parsed.GetValue(window), MaxWindows = parsed.GetValue(windows) },
        }));
        return command;
    }

    private static async Task<int> EvaluateAsync(CommandSession session, string protocol, Func<EvaluationProtocol, ModelEvaluation> request)
    {
        if (EvaluationProtocol.All.FirstOrDefault(p => p.Name == protocol) is not { } found)
        {
            var names = EvaluationProtocol.All.Select(p => p.Name).ToList();
            return session.Fail(ExitCode.RecipeWrong, $"unknown protocol '{protocol}'. {NearestName.Suggestion(protocol, names, "protocols")}");
        }
        var result = await session.ShowProgressAsync(progress => request(found).RunAsync(progress, session.Cancellation));
        return session.Write(result, output => Write(output, result));
    }

    private static void Write(TextWriter text, EvaluationResult r)
    {
        text.WriteLine($"{r.Dataset}: {Human.Count(r.Tokens)} tokens scored in {Human.Count(r.Windows)} windows of {r.Window}, "
            + $"protocol {r.Protocol}, "
            + $"{r.Precision}, {r.Engine}");
        text.WriteLine();
        var table = new TextTable("", ">value", ">standard error", r.ReferencePerplexity is null ? "" : ">original");
        table.Add("perplexity", Human.Fixed(r.Perplexity, 4), Human.Fixed(r.PerplexityStandardError, 4),
            Human.Optional(r.ReferencePerplexity, 4));
        table.Add("bits per byte", Human.Optional(r.BitsPerByte, 4), "", Human.Optional(r.ReferenceBitsPerByte, 4));
        if (r.KlMean is { } kl)
        {
            table.Add("perplexity ratio", Human.Optional(r.PerplexityRatio, 5), Human.Optional(r.PerplexityRatioStandardError, 5));
            table.Add("KL divergence, mean", Human.Fixed(kl, 6), Human.Optional(r.KlMeanStandardError, 6));
            table.Add("KL divergence, median", Human.Optional(r.KlMedian, 6));
            table.Add("KL divergence, 99 %", Human.Optional(r.KlP99, 5));
            table.Add("KL divergence, 99.9 %", Human.Optional(r.KlP999, 5));
            table.Add("KL divergence, largest", Human.Optional(r.KlMax, 5));
            table.Add("same top token", Human.Percent(r.Top1Agreement!.Value), Human.Percent(r.Top1AgreementStandardError!.Value));
        }
        table.Write(text);
    }
}
