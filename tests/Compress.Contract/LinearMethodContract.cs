using System.Reflection;
using System.Security.Cryptography;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Recipes;
using Compress.Formats.Encodings;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Compress.Contract;

/// <summary>
/// What every method that works on one linear site at a time owes, whatever it computes. A new method is held to it unasked.
/// </summary>
/// <remarks>A test project names its assembly once: <c>[Theory, MemberData] void Holds(string method, string duty) => Contract.Check(method, duty);</c></remarks>
public sealed class LinearMethodContract
{
    private const int Rows = 24, Columns = 64;

    private static readonly Dictionary<string, Action<Subject>> Duties = new()
    {
        ["an ordinary layer"] = s => s.Expect(s.Run(), exact: true),
        ["inputs that were always zero"] = s => s.Expect(s.Run(inputs: x => x[.., 5] = zeros(x.shape[0])), exact: true),
        ["a row of zeros"] = s => s.Expect(s.Run(weights: w => w[3] = zeros(Columns)), exact: false),
        ["a weight of zeros"] = s => s.Expect(s.Run(weights: w => w.zero_()), exact: false),
        ["fewer tokens than inputs"] = s => s.Expect(s.Run(tokens: 7), exact: true),
        ["one token"] = s => s.Expect(s.Run(tokens: 1), exact: true),
        ["equal tokens"] = s => s.Expect(s.Run(inputs: x => x.copy_(x[0].expand(x.shape).clone())), exact: true),
        ["no tokens"] = s => s.Expect(s.Run(tokens: 0), exact: true),
        ["inputs that are not numbers"] = s => s.Expect(s.Run(inputs: x => x[2, 9] = float.NaN), exact: true),
        ["infinite inputs"] = s => s.Expect(s.Run(inputs: x => x[2, 9] = float.NegativeInfinity), exact: true),
        ["huge inputs"] = s => s.Expect(s.Run(inputs: x => x.mul_(1e18)), exact: true),
        ["tiny inputs"] = s => s.Expect(s.Run(inputs: x => x.mul_(1e-18)), exact: true),
        ["bf16 inputs"] = s => s.Expect(s.Run(inputType: ScalarType.BFloat16), exact: true),
        ["weights that are not finite"] = NotFinite,
        ["zeros of an earlier stage"] = KeepsMask,
        ["the same bytes twice"] = SameTwice,
        ["borrowed tensors are left as they are and none is lost"] = Borrows,
        ["a site that fits is accepted"] = s => Assert.Null(s.Create().Unfit(new SiteShape("site", SiteRole.Up, Rows, Columns))),
    };

    private readonly MethodCatalogue catalogue;

    /// <summary>Holds the methods of an assembly to the contract.</summary>
    public LinearMethodContract(Assembly assembly) => catalogue = MethodCatalogue.Discover(assembly);

    /// <summary>Every method and variant of its main options with every duty.</summary>
    public TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (var subject in Subjects())
        {
            foreach (var duty in Duties.Keys) cases.Add(subject.Name, duty);
        }
        return cases;
    }

    /// <summary>Checks one duty of one method.</summary>
    public void Check(string subject, string duty)
    {
        using var scope = NewDisposeScope();
        Duties[duty](Subjects().Single(s => s.Name == subject));
    }

    private IEnumerable<Subject> Subjects() => catalogue.Methods.Where(m => m.Type.IsAssignableTo(typeof(ILinearMethod))).SelectMany(Subject.VariantsOf);

    private static void NotFinite(Subject s)
    {
        var log = new SiteLog();
        s.Expect(s.Run(weights: w =>
        {
            w[1, 2] = float.NaN;
            w[4, 9] = float.PositiveInfinity;
        }, log: log), exact: false);
        Assert.Contains(log.Notes, n => n.StartsWith("2 weights", StringComparison.Ordinal));
    }

    private static void KeepsMask(Subject s)
    {
        var mask = rand(Rows, Columns, generator: new Generator(11)) > 0.4;
        // Even where the removed weights were not set to zero.
        foreach (var weights in new Action<Tensor>[] { w => w.mul_(mask), _ => { } })
        {
            var result = s.Run(weights: weights, mask: mask);
            s.Expect(result, exact: false);
            Assert.False(result.Weight.ne(0).logical_and(mask.logical_not()).any().item<bool>());
            // Zeros that need not be are a method's own affair, but not all of them.
            Assert.True(result.Weight.ne(0).any().item<bool>());
        }
    }

    private static void SameTwice(Subject s)
    {
        var (a, b) = (s.Run(), s.Run());
        Assert.Equal(Convert.ToHexString(SHA256.HashData(a.Weight.bytes)), Convert.ToHexString(SHA256.HashData(b.Weight.bytes)));
        if (a.Encoded is null) return;
        var (first, second) = (EncodedFormat.Pack("site", a.Encoded), EncodedFormat.Pack("site", b.Encoded!));
        Assert.Equal(first.Select(p => p.Info.Name), second.Select(p => p.Info.Name));
        Assert.All(first.Zip(second), p => Assert.Equal(p.First.Bytes, p.Second.Bytes));
    }

    private static void Borrows(Subject s)
    {
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var w = randn(Rows, Columns))
        using (var copy = w.clone())
        using (var mask = w.gt(-0.5))
        {
            using (var statistics = s.Gather(randn(30, Columns))) s.Apply(w, mask, statistics.Set, new SiteLog()).Dispose();
            Assert.Equal(copy.data<float>().ToArray(), w.data<float>().ToArray());
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
