using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Evaluation;
using Compress.Core.Recipes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Datasets;
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
        host.Attach(command, (parsed, session) => EvaluateAsync(session, new Request(
            parsed.GetValue(model)!, parsed.GetValue(against), parsed.GetValue(text)!, parsed.GetValue(protocol)!,
            parsed.GetValue(engine),
            new RuntimeOptions { Threads = parsed.GetValue(threads), Activations = parsed.GetValue(activations) },
            new EvaluationOptions { Window = parsed.GetValue(window), MaxWindows = parsed.GetValue(windows) })));
        return command;
    }

    /// <summary>What was asked for.</summary>
    private sealed record Request(
        string Model, string? Against, string Text, string Protocol, EvaluationEngine? Engine, RuntimeOptions Run, EvaluationOptions Options);

    private static async Task<int> EvaluateAsync(CommandSession session, Request request)
    {
        if (EvaluationProtocol.All.FirstOrDefault(p => p.Name == request.Protocol) is not { } protocol)
        {
            var names = EvaluationProtocol.All.Select(p => p.Name).ToList();
            return session.Fail(ExitCode.RecipeWrong,
                $"unknown protocol '{request.Protocol}'. {NearestName.Suggestion(request.Protocol, names, "protocols")}");
        }
        var result = (request.Engine ?? DefaultEngine.Of(request.Model)) == EvaluationEngine.Runtime
            ? await WithEngineAsync(session, request, protocol)
            : await WithTorchAsync(session, request, protocol);
        return session.Write(result, output => Write(output, result));
    }

    private static async Task<EvaluationResult> WithTorchAsync(CommandSession session, Request request, EvaluationProtocol protocol)
    {
        using var model = ModelFolder.Open(request.Model);
        using var original = request.Against is null ? null : ModelFolder.Open(request.Against);
        var (subject, reference) = (Subject(model), original is null ? null : Subject(original));
        var tokens = protocol.Read(TextDataset.Open(request.Text), model.LoadTokenizer(), request.Text);
        return await session.ShowProgressAsync(progress =>
            Evaluator.EvaluateAsync(subject, reference, tokens, protocol, request.Options, progress, session.Cancellation));
    }

    private static async Task<EvaluationResult> WithEngineAsync(CommandSession session, Request request, EvaluationProtocol protocol)
    {
        using var model = RuntimeModel.Open(request.Model, request.Run);
        using var original = request.Against is null ? null : RuntimeModel.Open(request.Against, request.Run);
        var tokens = protocol.Read(TextDataset.Open(request.Text), model.LoadTokenizer(), request.Text);
        return await session.ShowProgressAsync(progress =>
            Evaluator.EvaluateAsync(model, original, tokens, protocol, request.Options, progress, session.Cancellation));
    }

    private static EvaluatedModel Subject(ModelFolder model) => new(model.Tensors, model.Spec);

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
