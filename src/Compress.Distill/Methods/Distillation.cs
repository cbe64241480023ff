using System.Globalization;
using Compress.Core.Calibration;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Recipes;
using Compress.Distill.Data;
using Compress.Distill.Losses;
using Compress.Distill.Training;
using Compress.Distill.Weights;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Distill.Methods;

/// <summary>Trains the compressed model, the student, towards a teacher on a text.</summary>
/// <remarks>
/// Hinton, Vinyals and Dean 2015, arXiv:1503.02531, for the idea; with the default loss, forward KL at temperature 1 and no labels, this is
/// what Minitron does behind pruning (Muralidharan et al. 2024, arXiv:2407.14679, section 2.4). Weights and moments are f32; gradients of
/// logits are made some positions at a time, so that neither model's logits are ever held whole.
/// </remarks>
[Method("distillation", StageKind.Distill, IsDefault = true,
    Summary = "Trains the compressed model towards the original (or another teacher) on a text; losses are composable.",
    Paper = "Hinton, Vinyals and Dean 2015, arXiv:1503.02531; Muralidharan et al. 2024, arXiv:2407.14679")]
public sealed class Distillation(Distillation.Options options) : ITrainingMethod
{
    private const string OriginalTeacher = "original";
    private const int DefaultLength = 512;

    /// <summary>What the recipe may set, beside the keys of the optimiser.</summary>
    public sealed record Options : OptimizationRecipe
    {
        /// <summary>Defaults for a student that is near its teacher: a small rate, a short warm-up, no decay.</summary>
        public Options()
        {
            Steps = 400;
            BatchSize = 8;
            LearningRate = 1e-4;
            WarmupSteps = 20;
            FinalRateShare = 0.1;
            WeightDecay = 0;
        }

        /// <summary><c>original</c>, the model that the run begins with, or the folder of another model with the same tokenizer.</summary>
        [InputPath(OriginalTeacher)]
        public string Teacher { get; init; } = OriginalTeacher;

        /// <summary>Text, JSONL or Parquet file, or <c>dotnet-reference-documentation</c>.</summary>
        [InputPath(CorpusRecipe.ReferenceDocumentation)]
        public required string Data { get; init; }

        /// <summary>Tokens of a window; default: the model's context, at most 512.</summary>
        [Between(2, 1_048_576)]
        public int? Length { get; init; }

        /// <summary>Which weights are trained.</summary>
        public TrainedWeights Train { get; init; } = TrainedWeights.All;

        /// <summary>Rank of LoRA's adapters, with <c>train: lora</c>.</summary>
        [Between(1, 4096)]
        public int LoraRank { get; init; } = 8;

        /// <summary>Scale α of LoRA's adapters, which count α / rank.</summary>
        [Between(0.001, 4096)]
        public double LoraAlpha { get; init; } = 16;

        /// <summary>Terms of the loss, added up.</summary>
        public IReadOnlyList<DistillationLoss> Losses { get; init; } = [new ForwardKl()];
    }

    /// <inheritdoc/>
    public torch.ScalarType Arithmetic => options.Precision == TrainingPrecision.Bf16 ? torch.bfloat16 : torch.float32;

    private bool NeedsTeacher => options.Losses.Any(l => l is not HardLabels);

    /// <inheritdoc/>
    public long Tokens(ModelSpec model) => (long)options.Steps * options.BatchSize * Length(model);

    /// <inheritdoc/>
    public bool Changes(SelectableSite site, bool selected) => options.Train switch
    {
        TrainedWeights.Norms or TrainedWeights.Quantized => false,
        TrainedWeights.All => selected || site.Block is null,
        _ => selected,
    };

    /// <inheritdoc/>
    public string? Unfit(ModelSpec model)
    {
        if (options.Length > model.MaxPositions)
            return FormattableString.Invariant($"length: {options.Length} tokens exceed the model's context of {model.MaxPositions}");
        if (options.MicroBatchSize is { } micro && options.BatchSize % micro != 0)
            return FormattableString.Invariant($"micro_batch_size: {micro} does not divide the batch size {options.BatchSize}");
        if (options.Losses.Count == 0) return "losses: the list is empty; leave it out for forward_kl";
        var widths = model.Blocks.Select(b => b.Attention).OfType<AttentionSpec>().SelectMany(a => new[] { a.Query.OutFeatures, a.Key.OutFeatures });
        return options.Losses.OfType<Relations>().Select(r => r.Unfit(widths)).FirstOrDefault(p => p is not null);
    }

    /// <inheritdoc/>
    public TrainedModel Train(TrainingStudy study)
    {
        ArgumentNullException.ThrowIfNull(study);
        var student = study.Student;
        student.ComputeType = Arithmetic == torch.float32 ? null : Arithmetic;
        using var folder = options.Teacher == OriginalTeacher ? null : ModelFolder.Open(options.Teacher);
        if (folder is not null) TeacherTokens.RequireSame(study.Original, folder);
        using var teacher = NeedsTeacher ? Teacher(folder ?? study.Original, study.Device) : null;
        var windows = Windows(study);
        var (weights, encoded, trained) = Weights(study);
        using var model = new DistillationModel(student, teacher, weights, options.Losses);
        if (model.Parameters.Count == 0)
            throw Problem(study, "leaves no weight to train.", "Ignore fewer sites.");
        using var trainer = new Trainer(model, windows, options, Fingerprint(study), study.Folder);
        trainer.Run(options.Steps, study.Progress, study.Cancellation, study.Title);
        foreach (var (_, value) in student.NamedParameters) value.requires_grad = false;
        return new TrainedModel(trained, encoded.ToDictionary(e => e.Key, EncodedWeight (e) => e.Value.Encode(), StringComparer.Ordinal));
    }

    private ModelGraph Teacher(ModelFolder folder, torch.Device device) => ModelGraph.Load(folder.Tensors, folder.Spec, Arithmetic, device);

    private int Length(ModelSpec model) => options.Length ?? Math.Min(model.MaxPositions, DefaultLength);

    private TokenWindows Windows(TrainingStudy study)
    {
        var length = Length(study.Student.Spec);
        var tokens = TrainingTokens.Encode(TrainingTokens.Documents(options.Data), study.Original.LoadTokenizer(), Tokens(study.Student.Spec),
            study.Progress, study.Cancellation);
        var count = tokens.Sum(t => (long)t.Length);
        if (count < 2L * length)
        {
            throw new ModelFileException(options.Data, string.Create(CultureInfo.InvariantCulture, $"holds {count} tokens."),
                string.Create(CultureInfo.InvariantCulture, $"Windows of {length} need {2 * length}: give more text or a smaller length."));
        }
        return new TokenWindows(tokens, length, Seeds.Derive(study.Seed, "data"));
    }

    private (List<IWeightMap> Maps, Dictionary<string, QuantizedWeight> Encoded, HashSet<string> Trained) Weights(TrainingStudy study)
    {
        var maps = new List<IWeightMap>();
        var encoded = new Dictionary<string, QuantizedWeight>(StringComparer.Ordinal);
        var trained = new HashSet<string>(StringComparer.Ordinal);
        var sites = study.Student.Sites.ToLookup(s => s.WeightName, StringComparer.Ordinal);
        var frozen = study.Student.Blocks.SelectMany(b => b.Sites).Where(s => !study.Selected.Contains(s.Name)).Select(s => s.WeightName).ToHashSet();
        foreach (var (name, value) in study.Student.NamedParameters)
        {
            var site = sites[name].FirstOrDefault();
            var isTable = name == study.Student.Spec.Embedding.Tokens;
            var chosen = options.Train switch
            {
                TrainedWeights.All => !frozen.Contains(name),
                TrainedWeights.Norms => value.dim() == 1,
                TrainedWeights.Quantized => value.dim() == 1 || Quantized(study, site) is not null,
                _ => site is not null && study.Selected.Contains(site.Name),
            };
            if (!chosen) continue;
            trained.Add(name);
            var mask = site is null ? null : study.Masks.GetValueOrDefault(site.Name);
            if (options.Train == TrainedWeights.Quantized && Quantized(study, site) is { } start)
            {
                encoded.Add(site!.Name, new QuantizedWeight(site.Name, value, start, mask));
                maps.Add(encoded[site.Name]);
            }
            else if (options.Train == TrainedWeights.Lora)
                maps.Add(new LowRankAdapter(site!.Name, value, mask, options.LoraRank, options.LoraAlpha, Seeds.Derive(study.Seed, site.Name)));
            else maps.Add(new FreeWeight(name, value, site is not null && !isTable, mask));
        }
        if (options.Train == TrainedWeights.Quantized && encoded.Count == 0)
            throw Problem(study, "trains quantized weights, and no stage before it quantizes a selected site.", "Put a quantize stage before it.");
        return (maps, encoded, trained);
    }

    /// <summary>A selected site in integer groups; null for dense ones.</summary>
    private static GroupQuantizedWeight? Quantized(TrainingStudy study, LinearSite? site)
    {
        if (site is null || !study.Selected.Contains(site.Name)) return null;
        var stored = study.ReadEncoded(site.Name);
        return stored is null or GroupQuantizedWeight ? (GroupQuantizedWeight?)stored
            : throw Problem(study, $"cannot train {site.Name}: it is stored in {stored.Summary}.", "Ignore it, or quantize it with rtn, hqq, gptq or awq.");
    }

    private static RecipeException Problem(TrainingStudy study, string problem, string suggestion) =>
        new([new RecipeProblem(study.Title, 0, 0, "train", problem, suggestion)]);

    private string Fingerprint(TrainingStudy study) => string.Join('\n', study.Fingerprint, study.Seed.ToString(CultureInfo.InvariantCulture), options.ToString());
}

/// <summary>Which weights of a student are trained.</summary>
public enum TrainedWeights
{
    /// <summary>All: the sites that the stage selects, norms, biases, token table and head.</summary>
    All,

    /// <summary>The weights of the sites that the stage selects.</summary>
    Sites,

    /// <summary>Norms and biases.</summary>
    Norms,

    /// <summary>Low-rank adapters on the sites that the stage selects, merged into them (Hu et al. 2021, arXiv:2106.09685).</summary>
    Lora,

    /// <summary>
    /// Quantization-aware: latent weights and scales of the selected sites that an earlier stage quantized in integer groups, and norms and
    /// biases. The codes change, the encoding stays.
    /// </summary>
    Quantized,
}
