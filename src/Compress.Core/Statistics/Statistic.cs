using TorchSharp;

namespace Compress.Core.Statistics;

/// <summary>A running statistic of a site's input, gathered over calibration.</summary>
/// <remarks>Sites that share an input (q, k, v; gate, up) share the instance. A statistic has one constructor, <c>(int features, Device device)</c>.</remarks>
public abstract class Statistic : IDisposable
{
    /// <summary>Adds a batch of inputs.</summary>
    /// <param name="x">Borrowed inputs <c>[tokens, in]</c>, f32 or bf16.</param>
    /// <param name="sequences">Number of calibration sequences that <paramref name="x"/> holds.</param>
    public abstract void Accumulate(torch.Tensor x, int sequences);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the statistic's tensors.</summary>
    protected abstract void Dispose(bool disposing);
}

/// <summary>Which statistics a method needs, by type.</summary>
public sealed class Needs
{
    private Needs(params Type[] types) => Types = types;

    /// <summary>The statistic types, each once.</summary>
    public IReadOnlyList<Type> Types { get; }

    /// <summary>The method looks at weights alone.</summary>
    public static Needs Nothing { get; } = new();

    /// <summary>One statistic.</summary>
    public static Needs Of<T>() where T : Statistic => new(typeof(T));

    /// <summary>Two statistics.</summary>
    public static Needs Of<T1, T2>() where T1 : Statistic where T2 : Statistic => new(typeof(T1), typeof(T2));
}

/// <summary>The statistics gathered for one site's input.</summary>
/// <param name="statistics">Borrowed statistics, one of each type.</param>
public sealed class StatisticsSet(IReadOnlyList<Statistic> statistics)
{
    /// <summary>For methods that need nothing.</summary>
    public static StatisticsSet Empty { get; } = new([]);

    /// <summary>The statistic of a type that the method declared.</summary>
    /// <exception cref="InvalidOperationException">The method did not declare it: a bug.</exception>
    public T Get<T>() where T : Statistic => statistics.OfType<T>().SingleOrDefault()
        ?? throw new InvalidOperationException($"{typeof(T).Name} was not declared in Needs");
}
