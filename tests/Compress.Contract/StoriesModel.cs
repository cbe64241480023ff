using System.Text;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Formats.Checkpoints;
using Compress.Testing;
using static TorchSharp.torch;

namespace Compress.Contract;

/// <summary>A real language model small enough for a test (stories260K), compressed block by block in the plainest way.</summary>
public static class StoriesModel
{
    private const int Window = 256;

    /// <summary>Mean negative log-likelihood of a held-out token after a method has been applied to every linear of every block.</summary>
    /// <param name="method">The method, or null for the model as it is.</param>
    public static double Loss(ILinearMethod? method)
    {
        using var scope = NewDisposeScope();
        using var ignored = no_grad();
        using var folder = ModelFolder.Open(SharedData.At("models", "stories260K", "stories260K.bin"));
        var tokenizer = folder.LoadTokenizer();
        using var model = ModelGraph.Load(folder.Tensors, folder.Spec, ScalarType.Float32, CPU);
        if (method is not null) Compress(model, method, Windows(tokenizer, "train_0.txt", 40_000));
        var held = Windows(tokenizer, "tinystories_val.txt", 20_000);
        var scores = nn.functional.log_softmax(model.Forward(held), -1)[.., ..^1];
        return -scores.gather(2, held[.., 1..].unsqueeze(-1)).mean().item<float>();
    }

    private static void Compress(ModelGraph model, ILinearMethod method, Tensor windows)
    {
        var hidden = model.Embedding.Forward(windows);
        foreach (var block in model.Blocks)
        {
            using var observer = new Observer(method.Needs);
            block.Forward(hidden, observer);
            foreach (var site in block.Sites)
            {
                var view = new LinearView(site.Name, site.Role, site.Weight, null, 0);
                site.Weight = method.Apply(view, new StatisticsSet(observer.Of(site.InputName)), new SiteLog()).Weight;
            }
            hidden = block.Forward(hidden);
        }
    }

    private static Tensor Windows(Formats.Tokenizers.Tokenizer tokenizer, string file, int characters)
    {
        var text = File.ReadAllText(SharedData.At("text", "tinystories", file), Encoding.UTF8)[..characters];
        var ids = tokenizer.Encode(text.Replace("<|endoftext|>", "", StringComparison.Ordinal));
        var count = ids.Length / Window;
        return tensor(ids.Take(count * Window).Select(id => (long)id).ToArray(), [count, Window]);
    }

    private sealed class Observer(Needs needs) : IInputObserver, IDisposable
    {
        private readonly Dictionary<string, List<Statistic>> byInput = [];

        public void OnInput(string inputName, Tensor x)
        {
            var features = (int)x.shape[^1];
            if (!byInput.TryGetValue(inputName, out var statistics))
                byInput[inputName] = statistics = [.. needs.Types.Select(t => (Statistic)Activator.CreateInstance(t, features, CPU)!)];
            using var rows = x.reshape(-1, features);
            foreach (var statistic in statistics) statistic.Accumulate(rows, (int)x.shape[0]);
        }

        public List<Statistic> Of(string inputName) => byInput[inputName];

        public void Dispose()
        {
            foreach (var statistic in byInput.Values.SelectMany(s => s)) statistic.Dispose();
        }
    }
}
