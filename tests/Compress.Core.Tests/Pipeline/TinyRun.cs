using System.Text;
using Compress.Core.Calibration;
using Compress.Core.Methods;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Core.Tests.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Tokenizers;
using TorchSharp;

namespace Compress.Core.Tests.Pipeline;

/// <summary>A model of a few thousand weights with a text to calibrate on, and the recipes that tests run over it.</summary>
internal sealed class TinyRun : IDisposable
{
    private static readonly MethodCatalogue Catalogue = MethodCatalogue.OfTypes(typeof(PlainWanda), typeof(PlainRtn), typeof(PlainGlobal), typeof(PlainScaling));

    private readonly TemporaryFolder folder = new();

    public TinyRun(ElementType type = ElementType.F16, int layers = 3, bool tied = false)
        : this(SyntheticModel.Llama(hidden: 32, mlp: 48, layers, heads: 4, keyValueHeads: 2, vocabulary: 300, maxPositions: 64, tied), type)
    {
    }

    public TinyRun(SyntheticModel model, ElementType type)
    {
        SyntheticCheckpoint.Write(Model, model, type, seed: 1);
        BpeTrainer.Train([], new BpeTrainerOptions { VocabularySize = 257, SpecialTokens = ["<|end|>"], PrependBos = false }).Save(Model);
        var random = new Pcg32(7);
        var text = new StringBuilder();
        for (var i = 0; i < 3000; i++) text.Append((char)('a' + random.Next(26))).Append(i % 7 == 0 ? " " : "");
        File.WriteAllText(Text, text.ToString());
    }

    public string Model => folder.At("model");

    public string Text => folder.At("text.txt");

    public string At(string name) => folder.At(name);

    public static StageRecipe Wanda(bool sequential = false) =>
        Stage(StageKind.Prune, "plain_wanda", new PlainWanda.Options { TrueSequential = sequential });

    public static StageRecipe Rtn(bool keepSparsity = false, int groupSize = 16, bool calibrated = true) =>
        Stage(StageKind.Quantize, "plain_rtn", new PlainRtn.Options { GroupSize = groupSize, Calibrated = calibrated }) with { KeepSparsity = keepSparsity };

    public static StageRecipe Scaling() => Stage(StageKind.Quantize, "plain_scaling", new PlainScaling.Options());

    public static StageRecipe Global() => Stage(StageKind.Prune, "plain_global", new PlainGlobal.Options());

    public Recipe Recipe(params StageRecipe[] stages) => new()
    {
        Model = Model,
        Name = "tiny",
        Seed = 3,
        Device = DeviceChoice.Cpu,
        Calibration = new CalibrationRecipe { Data = Text, Samples = 5, Length = 24, BatchSize = 2 },
        Stages = stages,
        Export = [new ExportRecipe { Format = "hf", To = "hf" }],
    };

    public Task<RunResult> Run(Recipe recipe, string name = "run", bool resume = false, IProgress<RunEvent>? progress = null,
        CancellationToken cancellation = default)
    {
        var options = new RunOptions { OutputFolder = At(name), Resume = resume, Precision = torch.ScalarType.Float32 };
        return CompressionRun.ExecuteAsync(recipe, options, progress ?? new EventList(), cancellation);
    }

    public void Dispose() => folder.Dispose();

    private static StageRecipe Stage(StageKind kind, string method, object options) =>
        new() { Method = Catalogue.Find(kind, method)!, Options = options };
}

/// <summary>Keeps events in order, on the thread that reports them.</summary>
internal sealed class EventList : IProgress<RunEvent>
{
    private readonly List<RunEvent> events = [];

    public IReadOnlyList<RunEvent> Events => events;

    public Action<RunEvent>? Also { get; init; }

    public void Report(RunEvent value)
    {
        events.Add(value);
        Also?.Invoke(value);
    }
}
