namespace Compress.Core.Methods;

/// <summary>What a method does to a model: the key under which a recipe lists it.</summary>
public enum StageKind
{
    /// <summary><c>prune:</c></summary>
    Prune,

    /// <summary><c>quantize:</c></summary>
    Quantize,

    /// <summary><c>distill:</c></summary>
    Distill,
}

/// <summary>Declares a class as a method of recipes. The class has one constructor, which takes its nested <c>Options</c> record.</summary>
/// <param name="name">Name in recipes, snake_case (<c>wanda</c>).</param>
/// <param name="kind">Stage under which recipes list it.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class MethodAttribute(string name, StageKind kind) : Attribute
{
    /// <summary>Name in recipes.</summary>
    public string Name { get; } = name;

    /// <summary>Stage under which recipes list it.</summary>
    public StageKind Kind { get; } = kind;

    /// <summary>One sentence for <c>compress methods</c>.</summary>
    public required string Summary { get; init; }

    /// <summary>Whether a stage of its kind that names no method means this one; at most one of a kind.</summary>
    public bool IsDefault { get; init; }

    /// <summary>Source, e.g. <c>Sun et al. 2023, arXiv:2306.11695</c>.</summary>
    public required string Paper { get; init; }
}

/// <summary>Inclusive bounds of a numeric option.</summary>
/// <param name="minimum">Least value allowed.</param>
/// <param name="maximum">Greatest value allowed.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class BetweenAttribute(double minimum, double maximum) : Attribute
{
    /// <summary>Least value allowed.</summary>
    public double Minimum { get; } = minimum;

    /// <summary>Greatest value allowed.</summary>
    public double Maximum { get; } = maximum;
}
