using System.Globalization;
using Compress.Benchmarks;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Core.Torch;
using Compress.Pruning.Methods;
using Compress.Quant.Methods;
using static TorchSharp.torch;

// Compression methods on the two layer shapes of a 1.1-billion-parameter Llama, against the authors' Python code on the same cores.
const int Tokens = 4096;
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
var repetitions = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 7;
TorchBackend.EnsureLoaded();
using var noGradients = no_grad();

// Seconds of the published code (python3-torch 1.13, OpenBLAS, two threads of the same machine); null where it has no counterpart.
var published = new Dictionary<(string, int), double>
{
    [("Wanda 50 %", 2048)] = 0.458,
    [("Wanda 50 %", 5632)] = 0.509,
    [("Wanda 2:4", 2048)] = 0.209,
    [("Wanda 2:4", 5632)] = 0.192,
    [("GPTQ 4 bits, group 128", 2048)] = 1.20,
    [("GPTQ 4 bits, group 128", 5632)] = 4.29,
    [("GPTQ 4 bits, per row", 2048)] = 1.18,
    [("GPTQ 4 bits, per row", 5632)] = 3.85,
    [("GPTQ 4 bits, activation order, static groups", 2048)] = 1.35,
    [("GPTQ 4 bits, activation order, static groups", 5632)] = 4.64,
    [("Hessian of 4096 tokens", 2048)] = 0.193,
    [("Hessian of 4096 tokens", 5632)] = 1.351,
    [("Factorisation", 2048)] = 0.127,
    [("Factorisation", 5632)] = 1.742,
};

Console.WriteLine($"{Environment.ProcessorCount} cores, {repetitions} repetitions after one unmeasured; seconds.");
Console.WriteLine();
Console.WriteLine("| layer | what | best | median | processor | published | faster (best) | GFLOP/s (best) |");
Console.WriteLine("|---|---|---:|---:|---:|---:|---:|---:|");
foreach (var (inFeatures, outFeatures) in new[] { (2048, 5632), (5632, 2048) }) Layer(inFeatures, outFeatures);

void Layer(int n, int rows)
{
    using var scope = NewDisposeScope();
    var generator = new Generator(1);
    var x = randn(Tokens, 256, generator: generator).mm(randn(256, n, generator: generator)) / 16 + randn(Tokens, n, generator: generator);
    var w = randn(rows, n, generator: generator) * 0.02;
    using var hessian = new Hessian(n, CPU);
    using var norms = new ColumnNorms(n, CPU);
    hessian.Accumulate(x, 8);
    norms.Accumulate(x, 8);
    var view = new LinearView("site", SiteRole.Up, w, null, 0);
    var set = new StatisticsSet([hessian, norms]);
    double square = (double)n * n, factorise = square * n / 3, feedback = square * rows;

    using var left = randn(rows, n);
    using var right = randn(n, 2048);
    Report(n, rows, "libtorch f32 product, for comparison", 2.0 * rows * n * 2048, () => left.mm(right).Dispose());
    Report(n, rows, "Hessian of 4096 tokens", square * Tokens, () =>
    {
        using var fresh = new Hessian(n, CPU);
        fresh.Accumulate(x, 8);
    });
    Report(n, rows, "Factorisation", factorise, () =>
    {
        DampedCholesky.Factor(hessian, false, new DampingPolicy(0.01), out var factor);
        factor!.Dispose();
    });
    Method("Wanda 50 %", new Wanda(new() { Sparsity = 0.5 }), 0);
    Method("Wanda 2:4", new Wanda(new() { Pattern = Pattern.Of(2, 4) }), 0);
    Method("Magnitude 50 %", new Magnitude(new() { Sparsity = 0.5 }), 0);
    Method("RTN 4 bits, group 128", new Rtn(new()), 0);
    Method("RTN 4 bits, group 128, mse", new Rtn(new() { Mse = true }), 0);
    var changing = 0.01;
    foreach (var (name, options) in new (string, Gptq.Options)[]
    {
        ("GPTQ 4 bits, group 128", new()),
        ("GPTQ 4 bits, per row", new() { GroupSize = -1 }),
        ("GPTQ 4 bits, activation order, static groups", new() { ActivationOrder = true, StaticGroups = true }),
    })
    {
        // Another damping each time: the factorisation belongs to what is measured and must not be taken from the last run.
        Report(n, rows, name, factorise + feedback, () =>
            new Gptq(options with { Damping = changing *= 1.0001 }).Apply(view, set, new SiteLog()).Dispose());
    }

    void Method(string name, ILinearMethod method, double operations) =>
        Report(n, rows, name, operations, () => method.Apply(view, set, new SiteLog()).Dispose());
}

void Report(int n, int rows, string name, double operations, Action action)
{
    var time = Timing.Of(repetitions, action);
    var known = published.TryGetValue((name, n), out var before);
    var beforeText = known ? before.ToString("f3", CultureInfo.InvariantCulture) : "";
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"| {n} → {rows} | {name} | {time.Best:f3} | {time.Median:f3} | {time.Processor:f3} | {beforeText} | ")
        + (known ? string.Create(CultureInfo.InvariantCulture, $"{before / time.Best:f1} ×") : "")
        + (operations > 0 ? string.Create(CultureInfo.InvariantCulture, $" | {operations / time.Best / 1e9:f0} |") : " | |"));
}
