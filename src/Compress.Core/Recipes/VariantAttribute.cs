namespace Compress.Core.Recipes;

/// <summary>
/// Declares one of the forms that a list item of a recipe may take: <c>- name: { … }</c> binds to <paramref name="type"/>.
/// </summary>
/// <param name="name">The item's single key.</param>
/// <param name="type">Record derived from the type that carries the attribute.</param>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
public sealed class VariantAttribute(string name, Type type) : Attribute
{
    /// <summary>The item's single key.</summary>
    public string Name { get; } = name;

    /// <summary>The record it binds to.</summary>
    public Type Type { get; } = type;
}
