using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Torch;
using Compress.Distill.Data;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Tokenizers;
using TorchSharp;

namespace Compress.Distill.Training;

/// <summary>What a training run made.</summary>
/// <param name="Folder">Folder of the finished model.</param>
/// <param name="Parameters">Weights of the model.</param>
/// <param name="Steps">Optimiser steps.</param>
/// <param name="Tokens">Tokens predicted in training.</param>
/// <param name="Loss">Running mean of the training loss at the end, nats a token.</param>
/// <param name="HeldOut">Measurement on text that was not trained on, where the recipe asks for it.</param>
public sealed record TrainingResult(string Folder, long Parameters, int Steps, long Tokens, double Loss, HeldOutReport? HeldOut = null);

/// <summary><c>compress train</c>: corpus, tokenizer, model, training, export.</summary>
public static class TrainingRun
{
    const string EndOfText = "<|endoftext|>";

    static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>Runs a recipe, or continues it from the checkpoint in its run folder, and writes the finished model.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="runFolder">Folder of log, checkpoint and <c>run.json</c>, e.g. <c>runs/embedded</c>.</param>
    /// <param name="progress">Listener; null for none.</param>
    /// <param name="cancellation">Stops after the current step; the run can be continued.</param>
    /// <exception cref="CompressException">The recipe, the corpus or the checkpoint is at fault, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the checkpoint is written.</exception>
    public static Task<TrainingResult> ExecuteAsync(
        TrainingRecipe recipe, string runFolder, IProgress<RunEvent>? progress = null, CancellationToken cancellation = default) =>
        Task.Run(() => TrainAndMeasureAsync(recipe, runFolder, progress, cancellation), cancellation);

    static async Task<TrainingResult> TrainAndMeasureAsync(TrainingRecipe recipe, string runFolder, IProgress<RunEvent>? progress, CancellationToken cancellation)
    {
        TorchBackend.EnsureLoaded();
        NativeHeap.KeepFreedMemory();
        Check(recipe);
        Directory.CreateDirectory(runFolder);
        var (documents, provenance) = ReadCorpus(recipe.Corpus, progress);
        var tokenizer = TrainTokenizer(documents, recipe.Tokenizer, progress);
        var encoded = TrainingTokens.Encode(documents, tokenizer.ToTokenizer(), long.MaxValue, progress, cancellation);
        var windows = new TokenWindows(encoded, recipe.Model.Context, recipe.Seed);
        var model = SyntheticModel.FromConfig(Config(recipe.Model, tokenizer));
        WriteRunFile(recipe, runFolder, provenance, windows);

        var type = recipe.Training.Precision == TrainingPrecision.Bf16 ? torch.bfloat16 : torch.float32;
        using var graph = ModelGraph.Random(model.Spec, recipe.Seed, type, Device(recipe.Device));
        var trainable = new GraphTrainable(graph);
        using var trainer = new Trainer(trainable, windows, recipe.Training, Fingerprint(recipe, documents), runFolder);
        trainer.Run(recipe.Training.Steps, progress, cancellation);
        ModelExport.Write(recipe.Output, model.Config, tokenizer, trainer.Optimizer, trainable.Parameters.Select(p => p.Name));
        var report = recipe.Evaluate is { } heldOut
            ? await HeldOutReport.MeasureAsync(recipe.Output, heldOut, encoded, progress, cancellation).ConfigureAwait(false)
            : null;
        if (report is not null) WriteJson(Path.Combine(runFolder, "evaluation.json"), JsonSerializer.SerializeToNode(report, Json)!);
        return new TrainingResult(recipe.Output, trainable.Parameters.Sum(p => p.Value.numel()), trainer.Step,
            (long)trainer.Step * recipe.Training.BatchSize * windows.Length, trainer.SmoothedLoss ?? double.NaN, report);
    }

    static void Check(TrainingRecipe recipe)
    {
        var (model, training) = (recipe.Model, recipe.Training);
        if (model.Heads % model.KeyValueHeads != 0)
            throw new TrainingRecipeException("model.key_value_heads", $"{model.KeyValueHeads} does not divide the {model.Heads} heads.");
        if (model.HeadSize % 2 != 0) throw new TrainingRecipeException("model.head_size", $"{model.HeadSize} is odd; rotary positions need pairs.");
        if (training.MicroBatchSize is { } micro && training.BatchSize % micro != 0)
            throw new TrainingRecipeException("training.micro_batch_size", $"{micro} does not divide the batch size {training.BatchSize}.");
    }

    static (IReadOnlyList<string> Documents, JsonObject Provenance) ReadCorpus(CorpusRecipe recipe, IProgress<RunEvent>? progress)
    {
        progress?.Report(new PhaseStarted("reading the corpus", null, "documents"));
        IReadOnlyList<string> documents;
        var provenance = new JsonObject { ["source"] = recipe.Source };
        if (recipe.Source == CorpusRecipe.ReferenceDocumentation)
        {
            var packs = TargetingPacks.Find();
            var corpus = DocumentationCorpus.Build(packs);
            documents = corpus.Documents;
            provenance["packs"] = new JsonArray([.. packs.Select(p => JsonValue.Create($"{p.Name} {p.Version}"))]);
            provenance["paragraphs"] = corpus.Lines;
        }
        else
        {
            documents = TextDocuments.Read(recipe.Source);
        }
        provenance["documents"] = documents.Count;
        provenance["characters"] = documents.Sum(d => (long)d.Length);
        provenance["sha256"] = Hash(documents);
        progress?.Report(new PhaseEnded(string.Create(CultureInfo.InvariantCulture,
            $"{documents.Count} documents, {documents.Sum(d => (long)d.Length):N0} characters")));
        return (documents, provenance);
    }

    static TrainedBpe TrainTokenizer(IReadOnlyList<string> documents, TokenizerRecipe recipe, IProgress<RunEvent>? progress)
    {
        progress?.Report(new PhaseStarted("training the tokenizer", null, "tokens"));
        var trained = BpeTrainer.Train(documents, new BpeTrainerOptions
        {
            VocabularySize = recipe.VocabularySize,
            SpecialTokens = [EndOfText],
            BosToken = EndOfText,
            EosToken = EndOfText,
        });
        progress?.Report(new PhaseEnded(string.Create(CultureInfo.InvariantCulture, $"{trained.Tokens.Count} tokens")));
        return trained;
    }

    static JsonObject Config(ArchitectureRecipe model, TrainedBpe tokenizer) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["attention_bias"] = false,
        ["attention_dropout"] = 0.0,
        ["bos_token_id"] = tokenizer.Tokens.ToList().IndexOf(EndOfText),
        ["eos_token_id"] = tokenizer.Tokens.ToList().IndexOf(EndOfText),
        ["head_dim"] = model.HeadSize,
        ["hidden_act"] = "silu",
        ["hidden_size"] = model.HiddenSize,
        ["initializer_range"] = 0.02,
        ["intermediate_size"] = model.IntermediateSize,
        ["max_position_embeddings"] = model.Context,
        ["mlp_bias"] = false,
        ["model_type"] = "llama",
        ["num_attention_heads"] = model.Heads,
        ["num_hidden_layers"] = model.Layers,
        ["num_key_value_heads"] = model.KeyValueHeads,
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = model.RopeTheta,
        ["tie_word_embeddings"] = true,
        ["torch_dtype"] = "bfloat16",
        ["vocab_size"] = tokenizer.Tokens.Count,
    };

    static void WriteRunFile(TrainingRecipe recipe, string folder, JsonObject corpus, TokenWindows windows)
    {
        corpus["tokens"] = windows.TokenCount;
        var run = new JsonObject
        {
            ["recipe"] = JsonSerializer.SerializeToNode(recipe, Json),
            ["corpus"] = corpus,
            ["versions"] = new JsonObject
            {
                ["compress"] = typeof(TrainingRun).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion,
                ["torchsharp"] = typeof(torch).Assembly.GetName().Version?.ToString(),
                ["dotnet"] = RuntimeInformation.FrameworkDescription,
            },
            ["threads"] = torch.get_num_threads(),
        };
        WriteJson(Path.Combine(folder, "run.json"), run);
    }

    static void WriteJson(string path, JsonNode content)
    {
        File.WriteAllText(path + ".partial", content.ToJsonString(Json) + "\n");
        File.Move(path + ".partial", path, overwrite: true);
    }

    /// <summary>
    /// Identifies what a continued run must share with the one that was begun. Names, folders, measurement and checkpoint interval
    /// decide no weights; the number of steps may be changed, and the schedule follows the new number from then on.
    /// </summary>
    static string Fingerprint(TrainingRecipe recipe, IReadOnlyList<string> documents)
    {
        var deciding = recipe with { Name = null, Output = "", Training = recipe.Training with { Steps = 1, CheckpointEvery = 1 } };
        var keys = JsonSerializer.SerializeToNode(deciding, Json)!.AsObject();
        keys.Remove("evaluate");
        var text = keys.ToJsonString(Json) + Hash(documents);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    static string Hash(IReadOnlyList<string> documents)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var document in documents)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(document));
            hash.AppendData([0]);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    static torch.Device Device(DeviceChoice choice) => choice switch
    {
        DeviceChoice.Cuda when !torch.cuda.is_available() => throw new TrainingRecipeException("device",
            "cuda is not available. Use auto or cpu, or build with -p:TorchBackend=cuda on a machine with a GPU."),
        DeviceChoice.Cpu => torch.CPU,
        _ => torch.cuda.is_available() ? torch.CUDA : torch.CPU,
    };
}

/// <summary>A value of a training recipe cannot be used.</summary>
/// <param name="key">The key, with dots between levels.</param>
/// <param name="problem">What is wrong and what to do.</param>
public sealed class TrainingRecipeException(string key, string problem) : CompressException($"{key}: {problem}")
{
    /// <summary>The key, with dots between levels.</summary>
    public string Key { get; } = key;
}
